/* See device.h. `iotbiz connect box-0001 --for c --update` writes this file again. */
#include "device.h"

#include <math.h>

const char device_name[] = "box-0001";
const char device_remedy[] =
    "is there another revision of the blueprint than 3? "
    "iotbiz connect box-0001 --for c --update";

static struct settings in_force = {.interval = {true, 60.0}};

const struct settings *device_settings(void) { return &in_force; }

bool device_send(const struct readings *given) {
  char text[IOTBIZ_VALUES_BYTES_MAX];
  struct iotbiz_json json;
  struct readings readings = *given;
  bool good = true;
  if (!iotbiz_check_number("battery", readings.battery, -INFINITY, INFINITY, "%"))
    good = readings.battery.set = false;
  if (!iotbiz_check_position("position", readings.position))
    good = readings.position.set = false;
  if (!iotbiz_check_number("temperature", readings.temperature, -90.0, 80.0, "°C"))
    good = readings.temperature.set = false;
  iotbiz_json_open(&json, text, sizeof text);
  iotbiz_json_number(&json, "battery", readings.battery);
  iotbiz_json_boolean(&json, "lid_open", readings.lid_open);
  iotbiz_json_position(&json, "position", readings.position);
  iotbiz_json_number(&json, "temperature", readings.temperature);
  if (iotbiz_json_close(&json) && json.values > 0)
    iotbiz_keep(IOTBIZ_TELEMETRY, text);
  return good;
}

void device_report(struct iotbiz_json *json) {
  iotbiz_json_number(json, "interval", in_force.interval);
}

void device_desired(struct iotbiz_slice values) {
  struct settings wanted = in_force;
  struct iotbiz_slice name, value;
  while (iotbiz_next(&values, &name, &value)) {
    if (iotbiz_is(name, "interval")) {
      struct iotbiz_number given;
      if (iotbiz_read_number(value, &given) && iotbiz_check_number("interval", given, 10.0, 3600.0, "s"))
        wanted.interval = given;
    } else {
      iotbiz_say("setting %.*s is unknown here: %s", (int)name.bytes, name.at,
               device_remedy);
    }
  }
  in_force = device_take_settings(wanted);
}

enum device_done device_command(struct iotbiz_slice name, struct iotbiz_slice arguments,
                                struct iotbiz_json *answer) {
  (void)arguments, (void)answer;
  if (iotbiz_is(name, "locate"))
    return on_locate(answer) ? DEVICE_DONE : DEVICE_NOT_DONE;
  iotbiz_say("command %.*s is unknown here: %s", (int)name.bytes, name.at, device_remedy);
  return DEVICE_UNKNOWN_COMMAND;
}
