/* The connection to the server, by libmosquitto; one thread, no callbacks from elsewhere. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "iotbiz.h"

/* Reads the credential; false, with a line on standard error, when something is missing. */
bool connection_open(const char *credential_file);
/* Connects, sends and receives for at most this long; false when the program was asked to end. */
bool connection_loop(int wait_ms);
void connection_close(void);

#endif
