#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
struct zsock_pollfd {
  int fd;
  short events;
  short revents;
};
struct zsock_addrinfo {
  struct zsock_addrinfo *ai_next;
  int ai_flags, ai_family, ai_socktype, ai_protocol;
  socklen_t ai_addrlen;
  struct sockaddr *ai_addr;
};
#define ZSOCK_POLLIN 1
int zsock_poll(struct zsock_pollfd *fds, int count, int timeout);
int zsock_getaddrinfo(const char *host, const char *service, const struct zsock_addrinfo *hints,
                      struct zsock_addrinfo **found);
void zsock_freeaddrinfo(struct zsock_addrinfo *found);
