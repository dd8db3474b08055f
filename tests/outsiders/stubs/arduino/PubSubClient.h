#pragma once
#include <WiFi.h>
struct PubSubClient {
  PubSubClient(Client &client);
  PubSubClient &setServer(const char *host, uint16_t port);
  PubSubClient &setCallback(void (*callback)(char *, uint8_t *, unsigned int));
  PubSubClient &setKeepAlive(uint16_t seconds);
  PubSubClient &setSocketTimeout(uint16_t seconds);
  bool setBufferSize(uint16_t bytes);
  bool connect(const char *id, const char *user, const char *password, const char *will_topic,
               uint8_t will_qos, bool will_retain, const char *will, bool clean_session);
  bool publish(const char *topic, const uint8_t *payload, unsigned int bytes, bool retained);
  bool subscribe(const char *topic, uint8_t qos);
  bool loop();
  int state();
};
