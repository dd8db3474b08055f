#pragma once
#include <WiFi.h>
struct WiFiClientSecure : WiFiClient {
  void setCACert(const char *pem);
  int lastError(char *text, const size_t bytes);
};
