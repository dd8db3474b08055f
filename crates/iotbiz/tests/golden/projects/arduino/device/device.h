/* Readings, settings and commands of a box: revision 3 of the blueprint of coolbox.
 *
 * `iotbiz connect box-0001 --for arduino --update` writes this file again after the blueprint
 * changed; your own code is in device.ino.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "iotbiz.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What was measured; what is not set is not sent: readings.NAME = iotbiz_number(3.9) sets one. */
struct readings {
  struct iotbiz_number battery; /* %, every 1 h */
  struct iotbiz_boolean lid_open; /* true or false */
  struct iotbiz_position position; /* latitude and longitude in degrees */
  struct iotbiz_number temperature; /* °C, -90 to 80, every 1 min */
};

/* Values that may be changed on this device. */
struct settings {
  struct iotbiz_number interval; /* s, 10 to 3600 */
};

/* Sends what was measured now. False when a value was refused; the others are sent. */
bool device_send(const struct readings *readings);
/* The settings in force. */
const struct settings *device_settings(void);

/* Yours, in device.ino. */
extern const char device_firmware[];
/* Somebody changes settings: take over what you can and return what is in force. */
struct settings device_take_settings(struct settings wanted);
/* A command: answer within 30 s; false when it could not be done. */
bool on_locate(struct iotbiz_json *answer);

#ifdef __cplusplus
}
#endif
#endif
