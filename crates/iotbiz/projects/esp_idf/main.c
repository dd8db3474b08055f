/* @device@, a @kind@ of @venture@: measures and sends. This file is yours. */
#include "connection.h"
#include "device.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

const char device_firmware[] = "1.0.0";

struct settings device_take_settings(struct settings wanted) {
  iotbiz_say("settings changed");
  return wanted;
}
@example_handlers@
/* MADE-UP VALUES: read your sensors here. What is not set is not sent. */
static struct readings measure(void) {
  struct readings readings = {0};
@examples@  return readings;
}

void app_main(void) {
  int64_t measured = 0;
  connection_open();
  for (;;) {
    int64_t every_ms = (int64_t)(1000 * @interval@);
    if (measured == 0 || connection_uptime_ms() - measured >= every_ms) {
      struct readings readings = measure();
      measured = connection_uptime_ms();
      connection_send(&readings);
    }
    connection_loop();
    vTaskDelay(pdMS_TO_TICKS(200));
  }
}
