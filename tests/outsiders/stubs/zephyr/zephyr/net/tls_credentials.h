#pragma once
#include <stddef.h>
typedef int sec_tag_t;
enum tls_credential_type { TLS_CREDENTIAL_CA_CERTIFICATE = 1 };
#define TLS_PEER_VERIFY_REQUIRED 2
int tls_credential_add(sec_tag_t tag, enum tls_credential_type type, const void *data,
                       size_t bytes);
