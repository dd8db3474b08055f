/* See device.h. `iotbiz connect @device@ --for @language@ --update` writes this file again. */
#include "device.h"

#include <math.h>

const char device_name[] = "@device@";
const char device_remedy[] =
    "is there another revision of the blueprint than @revision@? "
    "iotbiz connect @device@ --for @language@ --update";

static struct settings in_force = {@initial@};

const struct settings *device_settings(void) { return &in_force; }

bool device_send(const struct readings *given) {
  char text[IOTBIZ_VALUES_BYTES_MAX];
  struct iotbiz_json json;
  struct readings readings = *given;
  bool good = true;
@checks@@writes@  return good;
}

void device_report(struct iotbiz_json *json) {
@reports@}

void device_desired(struct iotbiz_slice values) {
  struct settings wanted = in_force;
  struct iotbiz_slice name, value;
  while (iotbiz_next(&values, &name, &value)) {
@desired@  }
  in_force = device_take_settings(wanted);
}

enum device_done device_command(struct iotbiz_slice name, struct iotbiz_slice arguments,
                                struct iotbiz_json *answer) {
  (void)arguments, (void)answer;
@dispatch@  iotbiz_say("command %.*s is unknown here: %s", (int)name.bytes, name.at, device_remedy);
  return DEVICE_UNKNOWN_COMMAND;
}
