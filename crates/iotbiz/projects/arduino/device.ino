// @device@, a @kind@ of @venture@: measures and sends. This file is yours.
#include "connection.h"
#include "device.h"

const char device_firmware[] = "1.0.0";

static int64_t measured;

struct settings device_take_settings(struct settings wanted) {
  Serial.println("settings changed");
  return wanted;
}
@example_handlers@
// MADE-UP VALUES: read your sensors here. What is not set is not sent.
static struct readings measure(void) {
  struct readings readings = {};
@examples@  return readings;
}

void setup() {
  Serial.begin(115200);
  connection_open();
}

void loop() {
  int64_t every_ms = (int64_t)(1000 * @interval@);
  connection_loop();
  if (measured == 0 || connection_uptime_ms() - measured >= every_ms) {
    struct readings readings = measure();
    measured = connection_uptime_ms();
    device_send(&readings);
  }
  delay(50);
}
