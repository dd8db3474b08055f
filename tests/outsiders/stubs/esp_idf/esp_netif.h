#pragma once
#include "esp_event.h"
esp_err_t esp_netif_init(void);
void *esp_netif_create_default_wifi_sta(void);
