/* Readings, settings and commands of a @kind@: revision @revision@ of the blueprint of @venture@.
 *
 * `iotbiz connect @device@ --for @language@ --update` writes this file again after the blueprint
 * changed; your own code is in @main_file@.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "iotbiz.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What was measured; what is not set is not sent: readings.NAME = iotbiz_number(3.9) sets one. */
struct readings {
@readings@};

/* Values that may be changed on this device. */
struct settings {
@settings@};
@argument_structs@
/* Sends what was measured now. False when a value was refused; the others are sent. */
bool device_send(const struct readings *readings);
/* The settings in force. */
const struct settings *device_settings(void);

/* Yours, in @main_file@. */
extern const char device_firmware[];
/* Somebody changes settings: take over what you can and return what is in force. */
struct settings device_take_settings(struct settings wanted);
@handlers@
#ifdef __cplusplus
}
#endif
#endif
