/* See connection.h. `iotbiz connect @device@ --for zephyr --update` writes this file again. */
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zephyr/kernel.h>
#include <zephyr/net/mqtt.h>
#include <zephyr/net/sntp.h>
#include <zephyr/net/socket.h>
#include <zephyr/net/tls_credentials.h>
#include <zephyr/random/random.h>
#include <zephyr/sys/printk.h>

#include "credential.h"

#define CA_TAG 1
#define CONNECT_MS_MAX 10000
#define SNTP_MS_MAX 3000
#define STRING(text) {.utf8 = (const uint8_t *)(text), .size = sizeof(text) - 1}

static struct mqtt_client client;
static struct sockaddr_storage broker;
static struct mqtt_utf8 device = STRING(IOTBIZ_DEVICE), token = STRING(IOTBIZ_TOKEN);
static uint8_t received[IOTBIZ_PAYLOAD_BYTES_MAX], sent[IOTBIZ_PAYLOAD_BYTES_MAX];
static uint8_t payload[IOTBIZ_PAYLOAD_BYTES_MAX];
static enum { AWAY, ASKED, ONLINE } connection = AWAY;
static int64_t try_at, asked_at;
/* Milliseconds from the start of this board to 1970; 0 while the clock is not set. */
static int64_t wall_offset;
static uint16_t last_id;

int64_t connection_uptime_ms(void) { return k_uptime_get(); }

int64_t connection_wall_ms(void) { return wall_offset == 0 ? 0 : wall_offset + k_uptime_get(); }

uint32_t connection_random(void) { return sys_rand32_get(); }

void connection_say(const char *line) { printk("%s\n", line); }

static uint16_t next_id(void) {
  last_id = last_id == UINT16_MAX ? 1 : last_id + 1;
  return last_id;
}

int connection_publish(const char *topic, const char *body, size_t bytes) {
  struct mqtt_publish_param message = {0};
  message.message.topic.topic.utf8 = (const uint8_t *)topic;
  message.message.topic.topic.size = strlen(topic);
  message.message.topic.qos = MQTT_QOS_1_AT_LEAST_ONCE;
  message.message.payload.data = (uint8_t *)body;
  message.message.payload.len = bytes;
  message.message_id = next_id();
  return mqtt_publish(&client, &message) == 0 ? message.message_id : -1;
}

static void subscribe(void) {
  struct mqtt_topic topics[] = {
      {.topic = STRING("me/desired"), .qos = MQTT_QOS_1_AT_LEAST_ONCE},
      {.topic = STRING("me/command/+"), .qos = MQTT_QOS_1_AT_LEAST_ONCE},
  };
  struct mqtt_subscription_list list = {
      .list = topics, .list_count = ARRAY_SIZE(topics), .message_id = next_id()};
  if (mqtt_subscribe(&client, &list) != 0)
    iotbiz_say("cannot subscribe: settings and commands will not come");
}

static void on_publish(const struct mqtt_publish_param *publish) {
  struct mqtt_puback_param ack = {.message_id = publish->message_id};
  char topic[IOTBIZ_TOPIC_BYTES_MAX];
  size_t bytes = publish->message.payload.len;
  size_t topic_bytes = publish->message.topic.topic.size;
  if (bytes > sizeof payload || topic_bytes >= sizeof topic) {
    iotbiz_say("a message of %u bytes is too long for this board", (unsigned)bytes);
    mqtt_abort(&client);
    return;
  }
  memcpy(topic, publish->message.topic.topic.utf8, topic_bytes);
  topic[topic_bytes] = 0;
  if (mqtt_readall_publish_payload(&client, payload, bytes) != 0)
    return;
  iotbiz_message(topic, (const char *)payload, bytes);
  if (publish->message.topic.qos == MQTT_QOS_1_AT_LEAST_ONCE)
    mqtt_publish_qos1_ack(&client, &ack);
}

static void on_event(struct mqtt_client *unused, const struct mqtt_evt *event) {
  (void)unused;
  switch (event->type) {
  case MQTT_EVT_CONNACK:
    if (event->param.connack.return_code != MQTT_CONNECTION_ACCEPTED) {
      iotbiz_refused(event->param.connack.return_code);
      break;
    }
    connection = ONLINE;
    subscribe();
    iotbiz_online();
    break;
  case MQTT_EVT_PUBACK:
    iotbiz_acknowledged(event->param.puback.message_id);
    break;
  case MQTT_EVT_PUBLISH:
    on_publish(&event->param.publish);
    break;
  default:
    break;
  }
}

static void lost(int error) {
  if (connection == ASKED && error != 0)
    iotbiz_say("cannot reach %s:%d: error %d; %u messages wait", IOTBIZ_HOST, IOTBIZ_PORT, error,
               iotbiz_waiting());
#ifdef IOTBIZ_CA
  if (connection == ASKED && (error == -ECONNABORTED || error == -EINVAL))
    iotbiz_tls_failed("the handshake failed");
#endif
  mqtt_abort(&client);
  iotbiz_offline(IOTBIZ_BUFFER_SENDS_AGAIN);
  connection = AWAY;
  try_at = connection_uptime_ms() + iotbiz_backoff_ms();
}

/* Without the right time nothing that was measured offline can be dated. */
static void set_clock(void) {
  struct sntp_time now;
  if (wall_offset == 0 && sntp_simple("pool.ntp.org", SNTP_MS_MAX, &now) == 0)
    wall_offset = (int64_t)now.seconds * 1000 - k_uptime_get();
}

static int resolve(void) {
  struct zsock_addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
  char port[8];
  snprintf(port, sizeof port, "%d", IOTBIZ_PORT);
  if (zsock_getaddrinfo(IOTBIZ_HOST, port, &hints, &found) != 0)
    return -EHOSTUNREACH;
  memcpy(&broker, found->ai_addr, found->ai_addrlen);
  zsock_freeaddrinfo(found);
  return 0;
}

static void prepare(void) {
  mqtt_client_init(&client);
  client.broker = &broker;
  client.evt_cb = on_event;
  client.client_id = device;
  client.user_name = &device;
  client.password = &token;
  client.protocol_version = MQTT_VERSION_3_1_1;
  /* A session that stays: commands given while the device is away wait for it. */
  client.clean_session = 0;
  client.rx_buf = received;
  client.rx_buf_size = sizeof received;
  client.tx_buf = sent;
  client.tx_buf_size = sizeof sent;
#ifdef IOTBIZ_CA
  static const sec_tag_t tags[] = {CA_TAG};
  client.transport.type = MQTT_TRANSPORT_SECURE;
  client.transport.tls.config.peer_verify = TLS_PEER_VERIFY_REQUIRED;
  client.transport.tls.config.sec_tag_list = tags;
  client.transport.tls.config.sec_tag_count = ARRAY_SIZE(tags);
  client.transport.tls.config.hostname = IOTBIZ_HOST;
#else
  client.transport.type = MQTT_TRANSPORT_NON_SECURE;
#endif
}

static void try_to_connect(void) {
  int error = resolve();
  connection = ASKED;
  asked_at = connection_uptime_ms();
  prepare();
  if (error == 0) {
    set_clock();
    error = mqtt_connect(&client);
  }
  if (error != 0)
    lost(error);
}

void connection_open(void) {
#ifdef IOTBIZ_CA
  static const char ca[] = IOTBIZ_CA;
  if (tls_credential_add(CA_TAG, TLS_CREDENTIAL_CA_CERTIFICATE, ca, sizeof ca) != 0)
    iotbiz_say("the certificate of the authority cannot be used");
#endif
  prepare();
}

static int socket_of(void) {
#ifdef IOTBIZ_CA
  return client.transport.tls.sock;
#else
  return client.transport.tcp.sock;
#endif
}

void connection_loop(int wait_ms) {
  struct zsock_pollfd socket;
  int error = 0;
  if (connection == AWAY && connection_uptime_ms() >= try_at)
    try_to_connect();
  if (connection == AWAY) {
    k_msleep(wait_ms);
    return;
  }
  socket.fd = socket_of();
  socket.events = ZSOCK_POLLIN;
  socket.revents = 0;
  if (zsock_poll(&socket, 1, wait_ms) > 0)
    error = (socket.revents & ZSOCK_POLLIN) ? mqtt_input(&client) : -ECONNRESET;
  if (error == 0) {
    error = mqtt_live(&client);
    /* "Nothing to do yet" is no error. */
    error = error == -EAGAIN ? 0 : error;
  }
  if (error == 0 && connection == ASKED && connection_uptime_ms() - asked_at > CONNECT_MS_MAX)
    error = -ETIMEDOUT;
  if (error != 0)
    lost(error);
  else
    iotbiz_flush();
}
