#pragma once
#include <Arduino.h>
#define WL_CONNECTED 3
#define WIFI_STA 1
struct Client {};
struct WiFiClient : Client {};
struct WiFiClass {
  bool mode(int mode);
  int begin(const char *name, const char *password);
  int status();
};
extern WiFiClass WiFi;
