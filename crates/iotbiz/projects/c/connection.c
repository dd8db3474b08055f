/* See connection.h. `iotbiz connect @device@ --for c --update` writes this file again. */
#define _XOPEN_SOURCE 700
#include "connection.h"

#include <errno.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VALUE_BYTES_MAX 256
#define KEEPALIVE_SECONDS 60
#define CONNECT_MS_MAX 10000

static struct {
  struct mosquitto *client;
  const char *file;
  char host[VALUE_BYTES_MAX], device[VALUE_BYTES_MAX], token[VALUE_BYTES_MAX], ca[VALUE_BYTES_MAX];
  int port;
  enum { AWAY, ASKED, ONLINE } state;
  int64_t asked_at, try_at;
  char detail[IOTBIZ_LINE_BYTES_MAX];
} me;

static volatile sig_atomic_t ended;

static void end(int signal) {
  (void)signal;
  ended = 1;
}

int64_t connection_wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t connection_uptime_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint32_t connection_random(void) { return (uint32_t)lrand48(); }

void connection_say(const char *line) { fprintf(stderr, "%s\n", line); }

int connection_publish(const char *topic, const char *payload, size_t bytes) {
  int id;
  int error = mosquitto_publish(me.client, &id, topic, (int)bytes, payload, 1, false);
  return error == MOSQ_ERR_SUCCESS ? id : -1;
}

static void on_connect(struct mosquitto *client, void *unused, int code) {
  (void)unused;
  if (code != 0) {
    iotbiz_refused(code);
    return;
  }
  me.state = ONLINE;
  mosquitto_subscribe(client, NULL, "me/desired", 1);
  mosquitto_subscribe(client, NULL, "me/command/+", 1);
  iotbiz_online();
}

static void on_publish(struct mosquitto *client, void *unused, int id) {
  (void)client, (void)unused;
  iotbiz_acknowledged(id);
}

static void on_message(struct mosquitto *client, void *unused,
                       const struct mosquitto_message *message) {
  (void)client, (void)unused;
  iotbiz_message(message->topic, message->payload, (size_t)message->payloadlen);
}

static void on_log(struct mosquitto *client, void *unused, int level, const char *text) {
  (void)client, (void)unused;
  if (level == MOSQ_LOG_ERR)
    snprintf(me.detail, sizeof me.detail, "%s", text);
}

static bool read_credential(void) {
  struct {
    const char *name;
    char *to;
    bool needed;
  } wanted[] = {{"IOTBIZ_HOST=", me.host, true},
                {"IOTBIZ_DEVICE=", me.device, true},
                {"IOTBIZ_TOKEN=", me.token, true},
                {"IOTBIZ_CA=", me.ca, false}};
  char line[VALUE_BYTES_MAX + 32];
  size_t at;
  FILE *file = fopen(me.file, "r");
  if (file == NULL) {
    iotbiz_say("cannot read %s: %s. It holds the token of this device", me.file, strerror(errno));
    return false;
  }
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\r\n")] = 0;
    if (strncmp(line, "IOTBIZ_PORT=", 12) == 0)
      me.port = atoi(line + 12);
    for (at = 0; at < sizeof wanted / sizeof *wanted; at++) {
      size_t bytes = strlen(wanted[at].name);
      if (strncmp(line, wanted[at].name, bytes) == 0)
        snprintf(wanted[at].to, VALUE_BYTES_MAX, "%s", line + bytes);
    }
  }
  fclose(file);
  for (at = 0; at < sizeof wanted / sizeof *wanted; at++) {
    if (wanted[at].needed && wanted[at].to[0] == 0) {
      iotbiz_say("%s has no %s", me.file, wanted[at].name);
      return false;
    }
  }
  if (me.port <= 0 || me.port > 65535) {
    iotbiz_say("%s has no IOTBIZ_PORT", me.file);
    return false;
  }
  return true;
}

bool connection_open(const char *credential_file) {
  struct sigaction action;
  const char *elsewhere = getenv("IOTBIZ_CREDENTIAL");
  me.file = elsewhere != NULL ? elsewhere : credential_file;
  if (!read_credential())
    return false;
  memset(&action, 0, sizeof action);
  action.sa_handler = end;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  srand48((long)(connection_wall_ms() ^ ((int64_t)getpid() << 16)));
  mosquitto_lib_init();
  /* A session that stays: commands given while the device is away wait for it. */
  me.client = mosquitto_new(me.device, false, NULL);
  if (me.client == NULL) {
    iotbiz_say("no memory for a connection");
    return false;
  }
  mosquitto_username_pw_set(me.client, me.device, me.token);
  mosquitto_connect_callback_set(me.client, on_connect);
  mosquitto_publish_callback_set(me.client, on_publish);
  mosquitto_message_callback_set(me.client, on_message);
  mosquitto_log_callback_set(me.client, on_log);
  if (me.ca[0] != 0) {
    int error = mosquitto_tls_set(me.client, me.ca, NULL, NULL, NULL, NULL);
    if (error != MOSQ_ERR_SUCCESS) {
      iotbiz_say("cannot use %s: %s", me.ca, mosquitto_strerror(error));
      return false;
    }
  }
  return true;
}

static void lost(int error) {
  const char *why = error == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(error);
  if (error == MOSQ_ERR_TLS)
    iotbiz_tls_failed(me.detail[0] != 0 ? me.detail : why);
  else if (me.state != ONLINE && error != MOSQ_ERR_CONN_REFUSED)
    iotbiz_say("cannot reach %s:%d: %s; %u messages wait", me.host, me.port, why,
               iotbiz_waiting());
  iotbiz_offline(IOTBIZ_LIBRARY_SENDS_AGAIN);
  me.state = AWAY;
  me.try_at = connection_uptime_ms() + iotbiz_backoff_ms();
}

static void try_to_connect(void) {
  int error;
  me.detail[0] = 0;
  me.asked_at = connection_uptime_ms();
  me.state = ASKED;
  error = mosquitto_connect(me.client, me.host, me.port, KEEPALIVE_SECONDS);
  if (error != MOSQ_ERR_SUCCESS)
    lost(error);
}

static void nap(int wait_ms) {
  struct timespec time = {wait_ms / 1000, (wait_ms % 1000) * 1000000L};
  nanosleep(&time, NULL);
}

bool connection_loop(int wait_ms) {
  int64_t now = connection_uptime_ms();
  int error;
  if (ended)
    return false;
  if (me.state == AWAY && now >= me.try_at)
    try_to_connect();
  if (me.state == AWAY) {
    nap(wait_ms);
    return !ended;
  }
  error = mosquitto_loop(me.client, wait_ms, 1);
  if (error != MOSQ_ERR_SUCCESS && !ended)
    lost(error);
  else if (me.state == ASKED && connection_uptime_ms() - me.asked_at > CONNECT_MS_MAX)
    lost(MOSQ_ERR_CONN_LOST);
  iotbiz_flush();
  return !ended;
}

void connection_close(void) {
  mosquitto_disconnect(me.client);
  mosquitto_destroy(me.client);
  mosquitto_lib_cleanup();
}
