/* The connection to the server, by PubSubClient on an ESP32. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "iotbiz.h"

void connection_open(void);
/* Connects, sends and receives; call it in every loop(). */
void connection_loop(void);

#endif
