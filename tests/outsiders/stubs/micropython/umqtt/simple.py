"""A stand-in for umqtt.simple of MicroPython: the same functions, the same ways to fail."""

import socket
import struct


class MQTTException(Exception):
    """The server said no; its argument is the code."""


class Socket:
    """A socket as MicroPython has it: read() and write(), None when nothing is there."""

    def __init__(self, address):
        self.stream = socket.create_connection(address)

    def settimeout(self, seconds):
        self.stream.settimeout(seconds)

    def setblocking(self, blocking):
        self.stream.setblocking(blocking)

    def close(self):
        self.stream.close()

    def write(self, data):
        self.stream.sendall(data)

    def read(self, count):
        out = b""
        while len(out) < count:
            try:
                more = self.stream.recv(count - len(out))
            except BlockingIOError:
                return None
            if not more:
                return out
            out += more
        return out


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(value)) + value


def packet(first, body):
    length, rest = b"", len(body)
    while True:
        rest, low = rest >> 7, rest & 0x7F
        length += bytes([low | (0x80 if rest else 0)])
        if not rest:
            return bytes([first]) + length + body


class MQTTClient:
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None):
        assert ssl is None, "this stand-in knows no TLS"
        self.address, self.keepalive, self.pid = (server, port), keepalive, 0
        self.login = text(client_id) + text(user) + text(password)
        self.sock = self.callback = None

    def set_callback(self, callback):
        self.callback = callback

    # Without a timeout: so it is on older boards.
    def connect(self, clean_session=True):
        self.sock = Socket(self.address)
        flags = 0xC0 | (2 if clean_session else 0)
        head = text("MQTT") + bytes([4, flags]) + struct.pack("!H", self.keepalive)
        self.sock.write(packet(0x10, head + self.login))
        answer = self.sock.read(4)
        assert answer[0] == 0x20 and answer[1] == 2
        if answer[3]:
            raise MQTTException(answer[3])
        return answer[2] & 1

    def ping(self):
        self.sock.write(b"\xc0\x00")

    def publish(self, topic, payload, retain=False, qos=0):
        assert qos == 1
        self.pid += 1
        body = text(topic) + struct.pack("!H", self.pid) + payload
        self.sock.write(packet(0x32 | retain, body))
        while True:
            if self.wait_msg() == 0x40:
                self.sock.read(1)
                if struct.unpack("!H", self.sock.read(2))[0] == self.pid:
                    return

    def subscribe(self, topic, qos=0):
        self.pid += 1
        self.sock.write(packet(0x82, struct.pack("!H", self.pid) + text(topic) + bytes([qos])))
        while self.wait_msg() != 0x90:
            pass
        if self.sock.read(4)[3] == 0x80:
            raise MQTTException(0x80)

    def check_msg(self):
        self.sock.setblocking(False)
        return self.wait_msg()

    def wait_msg(self):
        first = self.sock.read(1)
        self.sock.setblocking(True)
        if first is None:
            return None
        if first == b"":
            raise OSError(-1)
        if first == b"\xd0":
            self.sock.read(1)
            return None
        if first[0] & 0xF0 != 0x30:
            return first[0]
        length = shift = 0
        while True:
            byte = self.sock.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = self.sock.read(length)
        size = struct.unpack("!H", body[:2])[0]
        topic, rest = body[2 : 2 + size], body[2 + size :]
        number, payload = (rest[:2], rest[2:]) if first[0] & 6 else (b"", rest)
        self.callback(topic, payload)
        if number:
            self.sock.write(b"\x40\x02" + number)
        return first[0]
