/* See connection.h. `iotbiz connect @device@ --for esp-idf --update` writes this file again.
 *
 * esp-mqtt calls from a task of its own, so every call of iotbiz_* is under one lock. What you
 * write for settings and commands runs in that task: be short, or hand it to another.
 */
#include "connection.h"

#include <string.h>
#include <sys/time.h>

#include "credential.h"
#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_netif_sntp.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "esp_wifi.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "mqtt_client.h"
#include "nvs_flash.h"

#define KEEPALIVE_SECONDS 60
#define SOCKET_MS_MAX 10000

static esp_mqtt_client_handle_t client;
static SemaphoreHandle_t lock;
static bool away;
static int64_t try_at;

int64_t connection_wall_ms(void) {
  struct timeval now;
  gettimeofday(&now, NULL);
  return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

int64_t connection_uptime_ms(void) { return esp_timer_get_time() / 1000; }

uint32_t connection_random(void) { return esp_random(); }

void connection_say(const char *line) { ESP_LOGI("iotbiz", "%s", line); }

int connection_publish(const char *topic, const char *payload, size_t bytes) {
  int id = esp_mqtt_client_publish(client, topic, payload, (int)bytes, 1, 0);
  return id > 0 ? id : -1;
}

static void take(void) { xSemaphoreTakeRecursive(lock, portMAX_DELAY); }

static void give(void) { xSemaphoreGiveRecursive(lock); }

static void on_error(const esp_mqtt_error_codes_t *error) {
  if (error->error_type == MQTT_ERROR_TYPE_CONNECTION_REFUSED)
    iotbiz_refused(error->connect_return_code);
  else if (error->esp_tls_cert_verify_flags != 0)
    iotbiz_tls_failed("the certificate is not accepted");
  else
    iotbiz_say("cannot reach %s:%d (%s); %u messages wait", IOTBIZ_HOST, IOTBIZ_PORT,
               strerror(error->esp_transport_sock_errno), iotbiz_waiting());
}

static void on_data(const esp_mqtt_event_t *event) {
  char topic[IOTBIZ_TOPIC_BYTES_MAX];
  if (event->data_len != event->total_data_len || event->topic_len >= (int)sizeof topic) {
    iotbiz_say("a message of %d bytes is too long for this board", event->total_data_len);
    return;
  }
  memcpy(topic, event->topic, (size_t)event->topic_len);
  topic[event->topic_len] = 0;
  iotbiz_message(topic, event->data, (size_t)event->data_len);
}

static void on_mqtt(void *unused, esp_event_base_t base, int32_t id, void *data) {
  const esp_mqtt_event_t *event = data;
  (void)unused, (void)base;
  take();
  switch ((esp_mqtt_event_id_t)id) {
  case MQTT_EVENT_CONNECTED:
    away = false;
    esp_mqtt_client_subscribe_single(client, "me/desired", 1);
    esp_mqtt_client_subscribe_single(client, "me/command/+", 1);
    iotbiz_online();
    break;
  case MQTT_EVENT_DISCONNECTED:
    iotbiz_offline(IOTBIZ_LIBRARY_SENDS_AGAIN);
    away = true;
    try_at = connection_uptime_ms() + iotbiz_backoff_ms();
    break;
  case MQTT_EVENT_PUBLISHED:
    iotbiz_acknowledged(event->msg_id);
    break;
  case MQTT_EVENT_DELETED:
    iotbiz_given_up(event->msg_id);
    break;
  case MQTT_EVENT_DATA:
    on_data(event);
    break;
  case MQTT_EVENT_ERROR:
    on_error(event->error_handle);
    break;
  default:
    break;
  }
  give();
}

static void on_wifi(void *unused, esp_event_base_t base, int32_t id, void *data) {
  (void)unused, (void)base, (void)data;
  if (id == WIFI_EVENT_STA_START || id == WIFI_EVENT_STA_DISCONNECTED)
    esp_wifi_connect();
}

static void open_wifi(void) {
  wifi_init_config_t init = WIFI_INIT_CONFIG_DEFAULT();
  wifi_config_t wifi = {.sta = {.ssid = WIFI_NAME, .password = WIFI_PASSWORD}};
  /* Without the right time nothing that was measured offline can be dated, and TLS fails. */
  esp_sntp_config_t sntp = ESP_NETIF_SNTP_DEFAULT_CONFIG("pool.ntp.org");
  ESP_ERROR_CHECK(nvs_flash_init());
  ESP_ERROR_CHECK(esp_netif_init());
  ESP_ERROR_CHECK(esp_event_loop_create_default());
  esp_netif_create_default_wifi_sta();
  ESP_ERROR_CHECK(esp_wifi_init(&init));
  ESP_ERROR_CHECK(esp_event_handler_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_wifi, NULL));
  ESP_ERROR_CHECK(esp_wifi_set_mode(WIFI_MODE_STA));
  ESP_ERROR_CHECK(esp_wifi_set_config(WIFI_IF_STA, &wifi));
  ESP_ERROR_CHECK(esp_wifi_start());
  ESP_ERROR_CHECK(esp_netif_sntp_init(&sntp));
}

void connection_open(void) {
  esp_mqtt_client_config_t config = {
      .broker.address.hostname = IOTBIZ_HOST,
      .broker.address.port = IOTBIZ_PORT,
#ifdef IOTBIZ_CA
      .broker.address.transport = MQTT_TRANSPORT_OVER_SSL,
      .broker.verification.certificate = IOTBIZ_CA,
#else
      .broker.address.transport = MQTT_TRANSPORT_OVER_TCP,
#endif
      .credentials.client_id = IOTBIZ_DEVICE,
      .credentials.username = IOTBIZ_DEVICE,
      .credentials.authentication.password = IOTBIZ_TOKEN,
      /* A session that stays: commands given while the device is away wait for it. */
      .session.disable_clean_session = true,
      .session.keepalive = KEEPALIVE_SECONDS,
      /* Its own delay is always the same; a fleet must not come back in one moment. */
      .network.disable_auto_reconnect = true,
      .network.timeout_ms = SOCKET_MS_MAX,
      .buffer.size = IOTBIZ_PAYLOAD_BYTES_MAX + IOTBIZ_TOPIC_BYTES_MAX,
  };
  lock = xSemaphoreCreateRecursiveMutex();
  open_wifi();
  client = esp_mqtt_client_init(&config);
  ESP_ERROR_CHECK(esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_mqtt, NULL));
  ESP_ERROR_CHECK(esp_mqtt_client_start(client));
}

bool connection_send(const struct readings *readings) {
  bool good;
  take();
  good = device_send(readings);
  give();
  return good;
}

void connection_loop(void) {
  bool again;
  take();
  again = away && connection_uptime_ms() >= try_at;
  away = away && !again;
  iotbiz_flush();
  give();
  if (again)
    esp_mqtt_client_reconnect(client);
}
