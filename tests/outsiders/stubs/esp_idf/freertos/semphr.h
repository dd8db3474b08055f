#pragma once
#include "freertos/FreeRTOS.h"
typedef struct semaphore *SemaphoreHandle_t;
SemaphoreHandle_t xSemaphoreCreateRecursiveMutex(void);
int xSemaphoreTakeRecursive(SemaphoreHandle_t lock, TickType_t wait);
int xSemaphoreGiveRecursive(SemaphoreHandle_t lock);
