# The secrets of @device@: never commit them. When one got out: iotbiz device rotate @device@
WIFI_NAME = "your-wifi"
WIFI_PASSWORD = "its-password"
HOST = "@host@"
PORT = @port@
DEVICE = "@device_id@"
TOKEN = "@token@"
@ca@