/* The connection to the server, by Wi-Fi and esp-mqtt. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "device.h"

void connection_open(void);
/* Sends what was measured now; may be called from any task. */
bool connection_send(const struct readings *readings);
/* Connects again when it is time; call it every second or so. */
void connection_loop(void);

#endif
