/* The secrets of box-0001: never commit them. When one got out: iotbiz device rotate box-0001 */
#define WIFI_NAME "your-wifi"
#define WIFI_PASSWORD "its-password"
#define IOTBIZ_HOST "192.168.1.10"
#define IOTBIZ_PORT 1883
#define IOTBIZ_DEVICE "dev_01JQZX3W9M2N4P6R8T0V2X4Z6B"
#define IOTBIZ_TOKEN "the-token-of-a-test"
