/* box-0001, a box of coolbox: measures and sends. This file is yours. */
#include "connection.h"
#include "device.h"

#include <stdio.h>

const char device_firmware[] = "1.0.0";

struct settings device_take_settings(struct settings wanted) {
  printf("settings changed\n");
  return wanted;
}

/* Somebody asks for this: answer within 30 s. */
bool on_locate(struct iotbiz_json *answer) {
  (void)answer;
  iotbiz_say("command: locate");
  return true;
}

/* MADE-UP VALUES: read your sensors here. What is not set is not sent. */
static struct readings measure(void) {
  struct readings readings = {0};
  readings.battery = iotbiz_number((40 + connection_random() % 20) / 10.0);
  readings.lid_open = iotbiz_boolean(false);
  readings.position = iotbiz_position(52.52, 13.405);
  readings.temperature = iotbiz_number((-220 + connection_random() % 340) / 10.0);
  return readings;
}

int main(void) {
  int64_t measured = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!connection_open("credential.env"))
    return 1;
  while (connection_loop(200)) {
    int64_t every_ms = (int64_t)(1000 * (device_settings()->interval.set ? device_settings()->interval.value : 60.0));
    if (measured == 0 || connection_uptime_ms() - measured >= every_ms) {
      struct readings readings = measure();
      measured = connection_uptime_ms();
      device_send(&readings);
    }
  }
  connection_close();
  return 0;
}
