/* The secrets of @device@: never commit them. When one got out: iotbiz device rotate @device@ */
#define WIFI_NAME "your-wifi"
#define WIFI_PASSWORD "its-password"
#define IOTBIZ_HOST "@host@"
#define IOTBIZ_PORT @port@
#define IOTBIZ_DEVICE "@device_id@"
#define IOTBIZ_TOKEN "@token@"
@ca@