// See connection.h. `iotbiz connect @device@ --for arduino --update` writes this file again.
#include "connection.h"

#include <Arduino.h>
#include <PubSubClient.h>
#include <WiFi.h>
#include <sys/time.h>
#include <time.h>

#include "credential.h"

#define KEEPALIVE_SECONDS 60
#define SOCKET_SECONDS_MAX 10

#ifdef IOTBIZ_CA
#include <WiFiClientSecure.h>
static WiFiClientSecure network;
#else
static WiFiClient network;
#endif
static PubSubClient mqtt(network);
static bool online;
static int64_t try_at;

int64_t connection_wall_ms(void) {
  struct timeval now;
  gettimeofday(&now, NULL);
  return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

int64_t connection_uptime_ms(void) { return esp_timer_get_time() / 1000; }

uint32_t connection_random(void) { return esp_random(); }

void connection_say(const char *line) { Serial.println(line); }

// PubSubClient knows QoS 0 only: there is no acknowledgement to wait for.
int connection_publish(const char *topic, const char *payload, size_t bytes) {
  return mqtt.publish(topic, (const uint8_t *)payload, bytes, false) ? 0 : -1;
}

static void on_message(char *topic, uint8_t *payload, unsigned int bytes) {
  iotbiz_message(topic, (const char *)payload, bytes);
}

void connection_open(void) {
  WiFi.mode(WIFI_STA);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  // Without the right time nothing that was measured offline can be dated, and TLS fails.
  configTime(0, 0, "pool.ntp.org");
#ifdef IOTBIZ_CA
  network.setCACert(IOTBIZ_CA);
#endif
  mqtt.setServer(IOTBIZ_HOST, IOTBIZ_PORT);
  mqtt.setKeepAlive(KEEPALIVE_SECONDS);
  mqtt.setSocketTimeout(SOCKET_SECONDS_MAX);
  mqtt.setCallback(on_message);
  if (!mqtt.setBufferSize(IOTBIZ_PAYLOAD_BYTES_MAX + IOTBIZ_TOPIC_BYTES_MAX))
    iotbiz_say("no memory for messages of %d bytes", (int)IOTBIZ_PAYLOAD_BYTES_MAX);
}

static void lost(void) {
  iotbiz_offline(IOTBIZ_BUFFER_SENDS_AGAIN);
  online = false;
  try_at = connection_uptime_ms() + iotbiz_backoff_ms();
}

static void try_to_connect(void) {
  // A session that stays: commands given while the device is away wait for it.
  if (mqtt.connect(IOTBIZ_DEVICE, IOTBIZ_DEVICE, IOTBIZ_TOKEN, NULL, 0, false, NULL, false)) {
    online = true;
    mqtt.subscribe("me/desired", 1);
    mqtt.subscribe("me/command/+", 1);
    iotbiz_online();
    return;
  }
  if (mqtt.state() > 0) {
    iotbiz_refused(mqtt.state());
  } else {
#ifdef IOTBIZ_CA
    char detail[100] = "";
    if (network.lastError(detail, sizeof detail) != 0)
      iotbiz_tls_failed(detail);
#endif
    iotbiz_say("cannot reach %s:%d (%d); %u messages wait", IOTBIZ_HOST, IOTBIZ_PORT, mqtt.state(),
               iotbiz_waiting());
  }
  lost();
}

void connection_loop(void) {
  if (online && !mqtt.loop())
    lost();
  if (!online && WiFi.status() == WL_CONNECTED && connection_uptime_ms() >= try_at)
    try_to_connect();
  if (online)
    iotbiz_flush();
}
