#pragma once
#include <stdint.h>
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
int64_t k_uptime_get(void);
int32_t k_msleep(int32_t ms);
