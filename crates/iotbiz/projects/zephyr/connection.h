/* The connection to the server, by the MQTT library of Zephyr. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "iotbiz.h"

void connection_open(void);
/* Connects, sends and receives for at most this long; all in the calling thread. */
void connection_loop(int wait_ms);

#endif
