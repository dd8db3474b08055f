/* What devices of every kind need: buffer, JSON, settings, commands, back-off.
 *
 * `iotbiz connect @device@ --for @language@ --update` writes this file again; your own code is in
 * @main_file@. Nothing here allocates; one device is one program. All functions must be called
 * by one thread at a time.
 */
#ifndef IOTBIZ_H
#define IOTBIZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Messages kept while offline; the oldest are dropped and counted. */
#ifndef IOTBIZ_BUFFER_MAX
#define IOTBIZ_BUFFER_MAX @buffer_max@
#endif
/* Of them sent at once. */
#ifndef IOTBIZ_BATCH_MAX
#define IOTBIZ_BATCH_MAX @batch_max@
#endif
/* Of the urgent lane; the server takes ten at once. */
#define IOTBIZ_URGENT_MAX 10
/* Ids of commands that are not done twice. */
#define IOTBIZ_COMMANDS_KNOWN_MAX 16
#define IOTBIZ_ID_BYTES_MAX 64
#define IOTBIZ_TEXT_BYTES_MAX 64
#define IOTBIZ_TOPIC_BYTES_MAX 128
#define IOTBIZ_LINE_BYTES_MAX 256
/* The longest message of this kind of device: all its readings, or all its settings. */
#define IOTBIZ_VALUES_BYTES_MAX @values_bytes@
#define IOTBIZ_PAYLOAD_BYTES_MAX (IOTBIZ_BATCH_MAX * (IOTBIZ_VALUES_BYTES_MAX + 48) + 2)
#define IOTBIZ_BACKOFF_MS_MIN 1000
#define IOTBIZ_BACKOFF_MS_MAX 60000
/* A connection that lasted this long starts the back-off anew. */
#define IOTBIZ_STABLE_MS 30000
/* While the clock is not set, only what is younger may go without a date. */
#define IOTBIZ_FRESH_MS 2000
/* 2023-11-14: a clock before this was never set. */
#define IOTBIZ_CLOCK_MS_MIN INT64_C(1700000000000)

/* Values; one that is not set is not sent. */
struct iotbiz_number {
  bool set;
  double value;
};
struct iotbiz_boolean {
  bool set;
  bool value;
};
struct iotbiz_text {
  bool set;
  char value[IOTBIZ_TEXT_BYTES_MAX];
};
struct iotbiz_position {
  bool set;
  double latitude;
  double longitude;
};
struct iotbiz_number iotbiz_number(double value);
struct iotbiz_boolean iotbiz_boolean(bool value);
struct iotbiz_text iotbiz_text(const char *value);
struct iotbiz_position iotbiz_position(double latitude, double longitude);

/* JSON that is written, into memory of the caller. */
struct iotbiz_json {
  char *text;
  size_t bytes;
  size_t max;
  unsigned values;
  bool full;
};
void iotbiz_json_open(struct iotbiz_json *json, char *text, size_t max);
void iotbiz_json_number(struct iotbiz_json *json, const char *name, struct iotbiz_number value);
void iotbiz_json_boolean(struct iotbiz_json *json, const char *name, struct iotbiz_boolean value);
void iotbiz_json_text(struct iotbiz_json *json, const char *name, const char *value);
void iotbiz_json_position(struct iotbiz_json *json, const char *name,
                          struct iotbiz_position value);
bool iotbiz_json_close(struct iotbiz_json *json);

/* JSON that is read: a piece of a text, which does not end with a zero. */
struct iotbiz_slice {
  const char *at;
  size_t bytes;
};
struct iotbiz_slice iotbiz_slice(const char *at, size_t bytes);
bool iotbiz_is(struct iotbiz_slice slice, const char *text);
/* The next name and value of an object; takes them from `rest`. */
bool iotbiz_next(struct iotbiz_slice *rest, struct iotbiz_slice *name, struct iotbiz_slice *value);
bool iotbiz_find(struct iotbiz_slice object, const char *name, struct iotbiz_slice *value);
/* False, with a line in the log, when the value has another type. */
bool iotbiz_read_number(struct iotbiz_slice value, struct iotbiz_number *out);
bool iotbiz_read_boolean(struct iotbiz_slice value, struct iotbiz_boolean *out);
bool iotbiz_read_text(struct iotbiz_slice value, struct iotbiz_text *out);
bool iotbiz_read_position(struct iotbiz_slice value, struct iotbiz_position *out);

/* False, with a line in the log, when a value is out of its bounds; not set is right. */
bool iotbiz_check_number(const char *name, struct iotbiz_number value, double least, double most,
                         const char *unit);
bool iotbiz_check_position(const char *name, struct iotbiz_position value);

enum iotbiz_lane { IOTBIZ_TELEMETRY, IOTBIZ_URGENT };
/* Keeps a JSON object of values until the server has acknowledged it. */
void iotbiz_keep(enum iotbiz_lane lane, const char *values);
unsigned iotbiz_waiting(void);
unsigned iotbiz_dropped(void);
/* Whether a setting changed since the last call. */
bool iotbiz_settings_changed(void);

/* Who sends a message again that was not acknowledged when the connection broke. */
enum iotbiz_resend { IOTBIZ_LIBRARY_SENDS_AGAIN, IOTBIZ_BUFFER_SENDS_AGAIN };

/* Called by the connection. */
void iotbiz_online(void);
void iotbiz_offline(enum iotbiz_resend resend);
void iotbiz_acknowledged(int id);
void iotbiz_given_up(int id);
void iotbiz_message(const char *topic, const char *payload, size_t bytes);
void iotbiz_flush(void);
uint32_t iotbiz_backoff_ms(void);
/* Says what a CONNACK code means and what to do. */
void iotbiz_refused(int code);
/* Says what an error of TLS may mean and what to do. */
void iotbiz_tls_failed(const char *detail);
void iotbiz_say(const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* What the connection offers (connection.*). */
/* An id that is acknowledged later, 0 when there is no acknowledgement, negative when not sent. */
int connection_publish(const char *topic, const char *payload, size_t bytes);
/* Milliseconds since 1970, anything below IOTBIZ_CLOCK_MS_MIN while the clock is not set. */
int64_t connection_wall_ms(void);
int64_t connection_uptime_ms(void);
uint32_t connection_random(void);
void connection_say(const char *line);

/* What the kind of device offers (device.c). */
extern const char device_name[];
extern const char device_remedy[];
extern const char device_firmware[];
void device_report(struct iotbiz_json *json);
void device_desired(struct iotbiz_slice values);
enum device_done { DEVICE_DONE, DEVICE_NOT_DONE, DEVICE_UNKNOWN_COMMAND, DEVICE_WRONG_ARGUMENT };
enum device_done device_command(struct iotbiz_slice name, struct iotbiz_slice arguments,
                                struct iotbiz_json *answer);

#ifdef __cplusplus
}
#endif
#endif
