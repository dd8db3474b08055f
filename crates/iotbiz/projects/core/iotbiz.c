/* See iotbiz.h. `iotbiz connect @device@ --for @language@ --update` writes this file again. */
#include "iotbiz.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
  int64_t ts;     /* when it was measured, or 0 while the clock was not set */
  int64_t uptime; /* the same moment on the clock that is always there */
  char values[IOTBIZ_VALUES_BYTES_MAX];
};

/* What waits for one topic. The lanes are apart, so that what is urgent is never behind the rest. */
struct lane {
  const char *topic;
  struct entry *entries;
  unsigned max;
  unsigned batch_max;
  unsigned oldest;
  unsigned count;
  int in_flight_id; /* 0: nothing is in flight */
  unsigned in_flight;
};

static struct entry telemetry[IOTBIZ_BUFFER_MAX], urgent[IOTBIZ_URGENT_MAX];
static struct lane lanes[] = {
    {"me/telemetry", telemetry, IOTBIZ_BUFFER_MAX, IOTBIZ_BATCH_MAX, 0, 0, 0, 0},
    {"me/urgent", urgent, IOTBIZ_URGENT_MAX, 1, 0, 0, 0, 0},
};
#define LANES (sizeof lanes / sizeof *lanes)

static struct {
  unsigned dropped;
  bool online;
  int64_t online_since;
  unsigned attempts;
  bool settings_changed;
  bool has_version;
  double version;
  char known[IOTBIZ_COMMANDS_KNOWN_MAX][IOTBIZ_ID_BYTES_MAX];
  unsigned known_next;
  char payload[IOTBIZ_PAYLOAD_BYTES_MAX];
} state;

void iotbiz_say(const char *format, ...) {
  char line[IOTBIZ_LINE_BYTES_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  connection_say(line);
}

struct iotbiz_number iotbiz_number(double value) {
  struct iotbiz_number number = {true, value};
  return number;
}

struct iotbiz_boolean iotbiz_boolean(bool value) {
  struct iotbiz_boolean boolean = {true, value};
  return boolean;
}

struct iotbiz_text iotbiz_text(const char *value) {
  struct iotbiz_text text;
  text.set = true;
  snprintf(text.value, sizeof text.value, "%s", value);
  return text;
}

struct iotbiz_position iotbiz_position(double latitude, double longitude) {
  struct iotbiz_position position = {true, latitude, longitude};
  return position;
}

/* Writing */

static void put(struct iotbiz_json *json, const char *text, size_t bytes) {
  if (json->full || bytes >= json->max - json->bytes) {
    json->full = true;
    return;
  }
  memcpy(json->text + json->bytes, text, bytes);
  json->bytes += bytes;
  json->text[json->bytes] = 0;
}

static void put_text(struct iotbiz_json *json, const char *text) {
  put(json, "\"", 1);
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      put(json, "\\", 1);
      put(json, text, 1);
    } else if (c < 0x20) {
      char escape[8];
      put(json, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
    } else {
      put(json, text, 1);
    }
  }
  put(json, "\"", 1);
}

static void put_name(struct iotbiz_json *json, const char *name) {
  if (json->values++ > 0)
    put(json, ",", 1);
  put_text(json, name);
  put(json, ":", 1);
}

static void put_number(struct iotbiz_json *json, double value) {
  char text[32];
  int bytes = snprintf(text, sizeof text, "%.15g", value);
  put(json, text, (size_t)bytes);
}

void iotbiz_json_open(struct iotbiz_json *json, char *text, size_t max) {
  json->text = text;
  json->max = max;
  json->bytes = 0;
  json->values = 0;
  json->full = false;
  put(json, "{", 1);
}

void iotbiz_json_number(struct iotbiz_json *json, const char *name, struct iotbiz_number value) {
  if (!value.set || !isfinite(value.value))
    return;
  put_name(json, name);
  put_number(json, value.value);
}

void iotbiz_json_boolean(struct iotbiz_json *json, const char *name, struct iotbiz_boolean value) {
  if (!value.set)
    return;
  put_name(json, name);
  put(json, value.value ? "true" : "false", value.value ? 4 : 5);
}

void iotbiz_json_text(struct iotbiz_json *json, const char *name, const char *value) {
  put_name(json, name);
  put_text(json, value);
}

void iotbiz_json_position(struct iotbiz_json *json, const char *name,
                          struct iotbiz_position value) {
  if (!value.set)
    return;
  put_name(json, name);
  put(json, "[", 1);
  put_number(json, value.latitude);
  put(json, ",", 1);
  put_number(json, value.longitude);
  put(json, "]", 1);
}

bool iotbiz_json_close(struct iotbiz_json *json) {
  put(json, "}", 1);
  return !json->full;
}

/* Reading */

struct iotbiz_slice iotbiz_slice(const char *at, size_t bytes) {
  struct iotbiz_slice slice = {at, bytes};
  return slice;
}

bool iotbiz_is(struct iotbiz_slice slice, const char *text) {
  return slice.bytes == strlen(text) && memcmp(slice.at, text, slice.bytes) == 0;
}

static void skip(struct iotbiz_slice *rest, size_t bytes) {
  rest->at += bytes;
  rest->bytes -= bytes;
}

static void skip_space(struct iotbiz_slice *rest) {
  while (rest->bytes > 0 && strchr(" \t\r\n", *rest->at) != NULL && *rest->at != 0)
    skip(rest, 1);
}

static bool take(struct iotbiz_slice *rest, char c) {
  skip_space(rest);
  if (rest->bytes == 0 || *rest->at != c)
    return false;
  skip(rest, 1);
  return true;
}

/* A string with its quotation marks. */
static bool take_string(struct iotbiz_slice *rest, struct iotbiz_slice *string) {
  const char *start;
  skip_space(rest);
  start = rest->at;
  if (!take(rest, '"'))
    return false;
  while (rest->bytes > 0) {
    char c = *rest->at;
    skip(rest, c == '\\' && rest->bytes > 1 ? 2 : 1);
    if (c == '"') {
      *string = iotbiz_slice(start, (size_t)(rest->at - start));
      return true;
    }
  }
  return false;
}

/* Any value: brackets are counted, not nested calls, so that depth costs no stack. */
static bool take_value(struct iotbiz_slice *rest, struct iotbiz_slice *value) {
  const char *start;
  unsigned depth = 0;
  skip_space(rest);
  start = rest->at;
  while (rest->bytes > 0) {
    struct iotbiz_slice string;
    char c = *rest->at;
    if (c == '"') {
      if (!take_string(rest, &string))
        return false;
    } else if (c == '{' || c == '[') {
      depth++;
      skip(rest, 1);
    } else if (c == '}' || c == ']') {
      if (depth == 0)
        break;
      depth--;
      skip(rest, 1);
    } else if (c == ',' && depth == 0) {
      break;
    } else {
      skip(rest, 1);
      continue;
    }
    if (depth == 0)
      break;
  }
  *value = iotbiz_slice(start, (size_t)(rest->at - start));
  while (value->bytes > 0 && strchr(" \t\r\n", value->at[value->bytes - 1]) != NULL)
    value->bytes--;
  return value->bytes > 0 && depth == 0;
}

bool iotbiz_next(struct iotbiz_slice *rest, struct iotbiz_slice *name,
                 struct iotbiz_slice *value) {
  if (!take(rest, '{') && !take(rest, ','))
    return false;
  if (!take_string(rest, name) || !take(rest, ':') || !take_value(rest, value))
    return false;
  *name = iotbiz_slice(name->at + 1, name->bytes - 2);
  return true;
}

bool iotbiz_find(struct iotbiz_slice object, const char *wanted, struct iotbiz_slice *value) {
  struct iotbiz_slice name;
  while (iotbiz_next(&object, &name, value)) {
    if (iotbiz_is(name, wanted))
      return true;
  }
  return false;
}

static bool other_type(struct iotbiz_slice value, const char *expected) {
  iotbiz_say("%.*s is not %s", value.bytes > 40 ? 40 : (int)value.bytes, value.at, expected);
  return false;
}

static bool number_of(struct iotbiz_slice value, double *out) {
  char text[40];
  char *end;
  if (value.bytes == 0 || value.bytes >= sizeof text || strchr("-0123456789", *value.at) == NULL)
    return false;
  memcpy(text, value.at, value.bytes);
  text[value.bytes] = 0;
  *out = strtod(text, &end);
  return end == text + value.bytes && isfinite(*out);
}

bool iotbiz_read_number(struct iotbiz_slice value, struct iotbiz_number *out) {
  double number;
  if (!number_of(value, &number))
    return other_type(value, "a number");
  *out = iotbiz_number(number);
  return true;
}

bool iotbiz_read_boolean(struct iotbiz_slice value, struct iotbiz_boolean *out) {
  if (!iotbiz_is(value, "true") && !iotbiz_is(value, "false"))
    return other_type(value, "true or false");
  *out = iotbiz_boolean(iotbiz_is(value, "true"));
  return true;
}

static unsigned utf8(unsigned code, char *out) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    out[0] = (char)(0xC0 | (code >> 6));
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
  }
  out[0] = (char)(0xE0 | (code >> 12));
  out[1] = (char)(0x80 | ((code >> 6) & 0x3F));
  out[2] = (char)(0x80 | (code & 0x3F));
  return 3;
}

bool iotbiz_read_text(struct iotbiz_slice value, struct iotbiz_text *out) {
  size_t at = 1, bytes = 0;
  if (value.bytes < 2 || *value.at != '"')
    return other_type(value, "a text");
  while (at + 1 < value.bytes) {
    char piece[4] = {value.at[at++]};
    unsigned count = 1;
    if (piece[0] == '\\' && at + 1 < value.bytes) {
      static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
      char c = value.at[at++];
      const char *known = strchr(from, c);
      piece[0] = known != NULL && c != 0 ? to[known - from] : c;
      if (c == 'u' && at + 4 < value.bytes) {
        char hex[5] = {0};
        memcpy(hex, value.at + at, 4);
        at += 4;
        count = utf8((unsigned)strtoul(hex, NULL, 16), piece);
      }
    }
    if (bytes + count >= sizeof out->value)
      return other_type(value, "a text of the length that is kept here");
    memcpy(out->value + bytes, piece, count);
    bytes += count;
  }
  out->value[bytes] = 0;
  out->set = true;
  return true;
}

bool iotbiz_read_position(struct iotbiz_slice value, struct iotbiz_position *out) {
  struct iotbiz_slice rest = value, first, second;
  double latitude, longitude;
  if (!take(&rest, '[') || !take_value(&rest, &first) || !take(&rest, ',') ||
      !take_value(&rest, &second) || !number_of(first, &latitude) ||
      !number_of(second, &longitude))
    return other_type(value, "[latitude, longitude]");
  *out = iotbiz_position(latitude, longitude);
  return true;
}

bool iotbiz_check_number(const char *name, struct iotbiz_number value, double least, double most,
                         const char *unit) {
  if (!value.set || (isfinite(value.value) && value.value >= least && value.value <= most))
    return true;
  iotbiz_say("%s %g is not between %g and %g %s: it is not taken", name, value.value, least, most,
             unit);
  return false;
}

bool iotbiz_check_position(const char *name, struct iotbiz_position value) {
  if (!value.set || (fabs(value.latitude) <= 90 && fabs(value.longitude) <= 180))
    return true;
  iotbiz_say("%s %g, %g is no latitude and longitude: it is not taken", name, value.latitude,
             value.longitude);
  return false;
}

/* The buffer */

static int64_t wall_or_0(void) {
  int64_t now = connection_wall_ms();
  return now >= IOTBIZ_CLOCK_MS_MIN ? now : 0;
}

static struct entry *entry_at(struct lane *lane, unsigned place) {
  return &lane->entries[(lane->oldest + place) % lane->max];
}

static void drop_oldest(struct lane *lane, unsigned count) {
  if (count > lane->count)
    count = lane->count;
  lane->oldest = (lane->oldest + count) % lane->max;
  lane->count -= count;
}

void iotbiz_keep(enum iotbiz_lane which, const char *values) {
  struct lane *lane = &lanes[which];
  struct entry *entry;
  if (lane->count == lane->max) {
    drop_oldest(lane, 1);
    if (lane->in_flight > 0)
      lane->in_flight--;
    if (state.dropped++ % lane->max == 0)
      iotbiz_say("the buffer of %u is full: %u oldest dropped", lane->max, state.dropped);
  }
  entry = entry_at(lane, lane->count);
  entry->ts = wall_or_0();
  entry->uptime = connection_uptime_ms();
  snprintf(entry->values, sizeof entry->values, "%s", values);
  lane->count++;
  iotbiz_flush();
}

unsigned iotbiz_waiting(void) {
  return lanes[IOTBIZ_TELEMETRY].count + lanes[IOTBIZ_URGENT].count;
}

unsigned iotbiz_dropped(void) { return state.dropped; }

/* What was measured before the clock was set is dated by its age. While the clock is not set, only
 * what was measured just now may go without a date: the server takes its own time. */
static bool put_entry(struct iotbiz_json *json, const struct entry *entry) {
  int64_t age = connection_uptime_ms() - entry->uptime;
  int64_t ts = entry->ts;
  char text[48];
  int bytes;
  if (ts == 0 && wall_or_0() != 0)
    ts = wall_or_0() - age;
  if (ts == 0 && age > IOTBIZ_FRESH_MS)
    return false;
  if (ts == 0) {
    put(json, entry->values, strlen(entry->values));
    return true;
  }
  /* Two halves: not every small printf knows 64 bits. */
  bytes = snprintf(text, sizeof text, "{\"ts\":%lu%06lu,\"values\":", (unsigned long)(ts / 1000000),
                   (unsigned long)(ts % 1000000));
  put(json, text, (size_t)bytes);
  put(json, entry->values, strlen(entry->values));
  put(json, "}", 1);
  return true;
}

/* Sends the next batch, when the one before it is acknowledged. */
static void flush(struct lane *lane) {
  struct iotbiz_json json = {state.payload, 0, sizeof state.payload, 0, false};
  unsigned taken = 0, most = lane->count < lane->batch_max ? lane->count : lane->batch_max;
  bool alone;
  int id;
  if (!state.online || lane->in_flight_id != 0)
    return;
  put(&json, "[", 1);
  while (taken < most) {
    size_t before = json.bytes;
    if (taken > 0)
      put(&json, ",", 1);
    if (!put_entry(&json, entry_at(lane, taken)) || json.full) {
      json.bytes = before;
      json.full = false;
      break;
    }
    taken++;
  }
  if (taken == 0)
    return;
  put(&json, "]", 1);
  alone = taken == 1; /* without the brackets */
  id = connection_publish(lane->topic, json.text + alone, json.bytes - 2 * alone);
  if (id == 0)
    drop_oldest(lane, taken);
  if (id > 0) {
    lane->in_flight_id = id;
    lane->in_flight = taken;
  }
}

void iotbiz_flush(void) {
  flush(&lanes[IOTBIZ_URGENT]);
  flush(&lanes[IOTBIZ_TELEMETRY]);
}

void iotbiz_acknowledged(int id) {
  size_t at;
  for (at = 0; at < LANES; at++) {
    if (id != 0 && id == lanes[at].in_flight_id) {
      drop_oldest(&lanes[at], lanes[at].in_flight);
      lanes[at].in_flight_id = 0;
      lanes[at].in_flight = 0;
    }
  }
  iotbiz_flush();
}

void iotbiz_given_up(int id) {
  size_t at;
  for (at = 0; at < LANES; at++) {
    if (id == lanes[at].in_flight_id)
      lanes[at].in_flight_id = 0;
  }
}

/* The connection */

static void report(void) {
  struct iotbiz_json json;
  char text[IOTBIZ_VALUES_BYTES_MAX + 2 * IOTBIZ_TEXT_BYTES_MAX];
  iotbiz_json_open(&json, text, sizeof text);
  iotbiz_json_text(&json, "firmware", device_firmware);
  device_report(&json);
  if (iotbiz_json_close(&json))
    connection_publish("me/reported", json.text, json.bytes);
}

void iotbiz_online(void) {
  iotbiz_say("connected as %s; %u messages wait", device_name, iotbiz_waiting());
  state.online = true;
  state.online_since = connection_uptime_ms();
  report();
  iotbiz_flush();
}

void iotbiz_offline(enum iotbiz_resend resend) {
  if (state.online) {
    iotbiz_say("the connection is lost; %u messages wait", iotbiz_waiting());
    if (connection_uptime_ms() - state.online_since > IOTBIZ_STABLE_MS)
      state.attempts = 0;
  }
  state.online = false;
  if (resend == IOTBIZ_BUFFER_SENDS_AGAIN)
    lanes[IOTBIZ_TELEMETRY].in_flight_id = lanes[IOTBIZ_URGENT].in_flight_id = 0;
}

/* Exponential, with full jitter: a fleet must not come back in one moment. */
uint32_t iotbiz_backoff_ms(void) {
  uint32_t most = IOTBIZ_BACKOFF_MS_MIN << state.attempts;
  if (most >= IOTBIZ_BACKOFF_MS_MAX)
    most = IOTBIZ_BACKOFF_MS_MAX;
  else
    state.attempts++;
  return connection_random() % (most + 1);
}

void iotbiz_refused(int code) {
  if (code == 4 || code == 5 || code == 0x86 || code == 0x87)
    iotbiz_say("the server does not accept the token of %s (CONNACK %d). Is it revoked? "
               "Issue another: iotbiz device rotate %s, and write it to @credential_file@",
               device_name, code, device_name);
  else
    iotbiz_say("the server refused the connection (CONNACK %d)", code);
}

void iotbiz_tls_failed(const char *detail) {
  int64_t now = wall_or_0();
  if (now == 0)
    iotbiz_say("no TLS: the clock is not set, so the server's certificate is not yet valid here "
               "(now: %ld s since 1970). Set the clock first",
               (long)(connection_wall_ms() / 1000));
  else
    iotbiz_say("no TLS: %s. Wrong CA, a certificate for another name, or the wrong time here "
               "(now: %ld s since 1970)? Get the CA again: iotbiz connect %s --tls --update",
               detail, (long)(now / 1000), device_name);
}

/* What comes */

bool iotbiz_settings_changed(void) {
  bool changed = state.settings_changed;
  state.settings_changed = false;
  return changed;
}

static void desired(struct iotbiz_slice body) {
  struct iotbiz_slice value;
  double version;
  bool numbered = iotbiz_find(body, "version", &value) && number_of(value, &version);
  if (numbered && state.has_version && version == state.version)
    return; /* Retained: it comes again with every connection. */
  if (!iotbiz_find(body, "values", &value))
    return;
  device_desired(value);
  state.has_version = numbered;
  state.version = numbered ? version : 0;
  state.settings_changed = true;
  report();
}

/* Days of 1970-01-01 to a date, by Howard Hinnant's days_from_civil. */
static int64_t days_of(int year, int month, int day) {
  int era, of_era, of_year;
  year -= month <= 2;
  era = year / 400;
  of_era = year - era * 400;
  of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Milliseconds of a number or of RFC 3339 in UTC; what cannot be read has passed. */
static int64_t time_of(struct iotbiz_slice value) {
  struct iotbiz_text text;
  int year, month, day, hour, minute, second;
  double number;
  if (number_of(value, &number))
    return (int64_t)number;
  if (!iotbiz_read_text(value, &text) ||
      sscanf(text.value, "%d-%d-%dT%d:%d:%d", &year, &month, &day, &hour, &minute, &second) != 6)
    return 0;
  return ((days_of(year, month, day) * 24 + hour) * 60 + minute) * INT64_C(60000) + second * 1000;
}

static const char *refusal(struct iotbiz_slice body) {
  struct iotbiz_slice expires;
  int64_t now = wall_or_0();
  if (!iotbiz_find(body, "expires", &expires) || iotbiz_is(expires, "null"))
    return NULL;
  if (now == 0)
    return "the clock of the device is not set: it cannot see what expired";
  return now > time_of(expires) ? "expired" : NULL;
}

static const char *done(struct iotbiz_slice body, struct iotbiz_json *answer) {
  struct iotbiz_slice name, arguments = {"{}", 2};
  const char *refused = refusal(body);
  if (refused != NULL)
    return refused;
  if (!iotbiz_find(body, "name", &name) || name.bytes < 2)
    return "the command has no name";
  iotbiz_find(body, "args", &arguments);
  switch (device_command(iotbiz_slice(name.at + 1, name.bytes - 2), arguments, answer)) {
  case DEVICE_DONE:
    return NULL;
  case DEVICE_NOT_DONE:
    return "not done";
  case DEVICE_UNKNOWN_COMMAND:
    return "this device does not know the command";
  case DEVICE_WRONG_ARGUMENT:
    return "an argument is wrong";
  }
  return "not done";
}

static bool is_new(const char *id) {
  unsigned at;
  for (at = 0; at < IOTBIZ_COMMANDS_KNOWN_MAX; at++) {
    if (strcmp(state.known[at], id) == 0)
      return false;
  }
  snprintf(state.known[state.known_next], IOTBIZ_ID_BYTES_MAX, "%s", id);
  state.known_next = (state.known_next + 1) % IOTBIZ_COMMANDS_KNOWN_MAX;
  return true;
}

static void command(const char *id, struct iotbiz_slice body) {
  struct iotbiz_json answer;
  char topic[IOTBIZ_TOPIC_BYTES_MAX], text[256];
  const char *refused;
  if (*id == 0 || strlen(id) >= IOTBIZ_ID_BYTES_MAX || strchr(id, '/') != NULL || !is_new(id))
    return;
  iotbiz_json_open(&answer, text, sizeof text);
  refused = done(body, &answer);
  if (refused != NULL) {
    iotbiz_json_open(&answer, text, sizeof text);
    iotbiz_json_text(&answer, "error", refused);
  }
  iotbiz_json_boolean(&answer, "ok", iotbiz_boolean(refused == NULL));
  if (!iotbiz_json_close(&answer)) {
    iotbiz_json_open(&answer, text, sizeof text);
    iotbiz_json_boolean(&answer, "ok", iotbiz_boolean(refused == NULL));
    iotbiz_json_close(&answer);
  }
  snprintf(topic, sizeof topic, "me/command/%s/answer", id);
  iotbiz_say("command %s: %s", id, text);
  connection_publish(topic, answer.text, answer.bytes);
}

void iotbiz_message(const char *topic, const char *payload, size_t bytes) {
  static const char commands[] = "me/command/";
  struct iotbiz_slice body = iotbiz_slice(payload, bytes);
  if (strcmp(topic, "me/desired") == 0)
    desired(body);
  else if (strncmp(topic, commands, sizeof commands - 1) == 0 && bytes > 0)
    command(topic + sizeof commands - 1, body);
}
