# The secrets of box-0001: never commit them. When one got out: iotbiz device rotate box-0001
WIFI_NAME = "your-wifi"
WIFI_PASSWORD = "its-password"
HOST = "192.168.1.10"
PORT = 1883
DEVICE = "dev_01JQZX3W9M2N4P6R8T0V2X4Z6B"
TOKEN = "the-token-of-a-test"
