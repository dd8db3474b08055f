"""The connection of a device to its server: what devices of every kind need, for MicroPython.

`iotbiz connect @device@ --for micropython --update` writes this file again; your own code is in
main.py. It uses umqtt.simple and not umqtt.robust: the latter waits in publish() until the network
is back, and nothing would be measured meanwhile.
"""

import json
import math
import random
import time

from umqtt.simple import MQTTClient, MQTTException

import credential

BUFFER_MAX = 200  # messages kept while offline; the oldest are dropped and counted
BATCH_MAX = 10  # of them sent at once
URGENT_MAX = 10  # of the urgent lane; the server takes ten at once
COMMANDS_KNOWN_MAX = 16  # ids of commands that are not done twice
BACKOFF_MS_MIN = 1000
BACKOFF_MS_MAX = 60000
STABLE_MS = 30000  # a connection that lasted this long starts the back-off anew
SOCKET_SECONDS_MAX = 10
PACKET_ID_MAX = 60000
KEEPALIVE_SECONDS = 60
FRESH_MS = 2000  # while the clock is not set, only what is younger goes without a date
TEXT_BYTES_MAX = 256
# Before this (2023-11-14) a clock was never set.
CLOCK_MS_MIN = 1700000000000
# MicroPython counts from 2000 on most boards, from 1970 on others.
EPOCH_S = 946684800 if time.gmtime(0)[0] == 2000 else 0
# CONNACK: bad user name or password, not authorised; of MQTT 3.1.1 and of MQTT 5.
LOGIN_REFUSED = (4, 5, 0x86, 0x87)


class Number:
    def __init__(self, unit="", least=None, most=None):
        self.unit, self.least, self.most = unit, least, most

    def wrong(self, value):
        """Why a value cannot be taken, or None."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "{} is not a number".format(value)
        if not math.isfinite(value):
            return "{} is not a finite number".format(value)
        if self.least is not None and value < self.least:
            return "{} is below {} {}".format(value, self.least, self.unit)
        if self.most is not None and value > self.most:
            return "{} is above {} {}".format(value, self.most, self.unit)
        return None


class Boolean:
    def wrong(self, value):
        return None if isinstance(value, bool) else "{} is neither True nor False".format(value)


class Text:
    def wrong(self, value):
        if not isinstance(value, str):
            return "{} is not a text".format(value)
        if len(value.encode()) > TEXT_BYTES_MAX:
            return "the text is longer than {} bytes".format(TEXT_BYTES_MAX)
        return None


class Position:
    def wrong(self, value):
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            return "{} is not (latitude, longitude)".format(value)
        return Number("°", -90, 90).wrong(value[0]) or Number("°", -180, 180).wrong(value[1])


def say(text):
    print(text)


def wall_ms():
    """Milliseconds since 1970, or None while the clock is not set."""
    now = (time.time() + EPOCH_S) * 1000
    return int(now) if now >= CLOCK_MS_MIN else None


class Entry:
    """What was measured at one moment."""

    def __init__(self, values):
        self.values = values
        self.ts, self.ticks = wall_ms(), time.ticks_ms()

    def dated(self):
        """As it is sent, or None while it cannot be dated."""
        age = time.ticks_diff(time.ticks_ms(), self.ticks)
        ts = self.ts
        if ts is None and wall_ms() is not None:
            ts = wall_ms() - age
        if ts is not None:
            return {"ts": ts, "values": self.values}
        return self.values if 0 <= age < FRESH_MS else None


class Connection:
    """What `Device` in device.py is made of: send() and loop()."""

    readings = {}
    urgent = ()
    settings_kinds = {}
    commands = {}
    device = ""
    remedy = ""

    def __init__(self, firmware, settings):
        self.firmware = firmware
        self.settings = settings  # in force
        self.dropped = 0  # messages that did not fit in the buffer
        self.settings_changed = False
        # The lanes are apart, so that what is urgent is never behind the rest.
        self._urgent, self._telemetry = [], []
        self._known = []
        self._version = None
        self._online = False
        self._attempts = 0
        self._since = self._try_at = self._pinged = time.ticks_ms()
        self._inbox = []
        self._client = self._make_client()

    def waiting(self):
        """Messages that the server has not acknowledged yet."""
        return len(self._urgent) + len(self._telemetry)

    # What is sent

    def _send(self, values, unknown):
        """Sends the values that are right; says what is wrong with each other one."""
        for name in unknown:
            say("no reading is called {}. {}".format(name, self.remedy))
        good = not unknown
        telemetry, urgent = {}, {}
        for name, value in values.items():
            if value is None:
                continue
            wrong = self.readings[name].wrong(value)
            if wrong:
                say("{} is not sent: {}".format(name, wrong))
                good = False
            else:
                (urgent if name in self.urgent else telemetry)[name] = value
        self._keep(self._urgent, URGENT_MAX, urgent)
        self._keep(self._telemetry, BUFFER_MAX, telemetry)
        return good

    def _keep(self, lane, most, values):
        if not values:
            return
        lane.append(Entry(values))
        if len(lane) > most:
            lane.pop(0)
            self.dropped += 1
            if self.dropped % BUFFER_MAX == 1:
                say("the buffer of {} is full: {} dropped".format(most, self.dropped))

    def _flush(self, topic, lane, most):
        """Sends the oldest messages; they go when they are acknowledged."""
        while lane:
            bodies = []
            for entry in lane[:most]:
                body = entry.dated()
                if body is None:
                    break
                bodies.append(body)
            if not bodies:
                return
            # Returns with the PUBACK.
            self._publish(topic, bodies if len(bodies) > 1 else bodies[0])
            del lane[: len(bodies)]

    def _report(self):
        body = {"firmware": self.firmware}
        for name, (attribute, _) in self.settings_kinds.items():
            value = getattr(self.settings, attribute)
            if value is not None:
                body[name] = value
        self._publish("me/reported", body)

    def _publish(self, topic, body):
        # The library takes the timeout away with every check_msg().
        if hasattr(self._client.sock, "settimeout"):
            self._client.sock.settimeout(SOCKET_SECONDS_MAX)
        # It counts on and on, and ids end at 65535.
        self._client.pid %= PACKET_ID_MAX
        self._client.publish(topic, json.dumps(body).encode(), qos=1)

    # What comes

    def _message(self, topic, payload):
        # Only kept here: the library may be waiting for a PUBACK at this moment.
        if len(self._inbox) < COMMANDS_KNOWN_MAX:
            self._inbox.append((topic.decode(), payload))

    def _handle(self, topic, payload):
        try:
            body = json.loads(payload) if payload else {}
        except ValueError as error:
            say("{} is no JSON: {}".format(topic, error))
            return
        if topic == "me/desired":
            self._desired(body)
        elif topic.startswith("me/command/"):
            self._command(topic, body)

    def _desired(self, body):
        version = body.get("version")
        if version is not None and version == self._version:
            return  # Retained: it comes again with every connection.
        wanted = type(self.settings)()
        for attribute, _ in self.settings_kinds.values():
            setattr(wanted, attribute, getattr(self.settings, attribute))
        for name, value in body.get("values", {}).items():
            if name not in self.settings_kinds:
                say("a setting {} is wanted that is unknown here. {}".format(name, self.remedy))
                continue
            attribute, kind = self.settings_kinds[name]
            wrong = kind.wrong(value)
            if wrong:
                say("setting {} stays as it is: {}".format(name, wrong))
            else:
                setattr(wanted, attribute, value)
        try:
            self.settings = self.take_settings(wanted) or self.settings
        except Exception as error:
            say("take_settings failed, the settings stay as they are: {}".format(error))
        self._version = version
        self.settings_changed = True
        self._report()

    def take_settings(self, wanted):
        return wanted

    def _command(self, topic, body):
        command = topic[len("me/command/") :]
        if not body or command in self._known or "/" in command:
            return
        self._known = (self._known + [command])[-COMMANDS_KNOWN_MAX:]
        answer = self._answer(body)
        say("command {}: {}".format(body.get("name"), answer))
        self._publish(topic + "/answer", answer)

    def _answer(self, body):
        def refused(why):
            return {"ok": False, "error": why}

        name, expires = body.get("name"), body.get("expires")
        if name not in self.commands:
            return refused("this device knows no command {}".format(name))
        if expires is not None:
            now = wall_ms()
            if now is None:
                return refused("the clock of the device is not set: it cannot see what expired")
            if now > (ms_of(expires) if isinstance(expires, str) else expires):
                return refused("expired")
        arguments, given = {}, body.get("args") or {}
        for argument, (parameter, kind) in self.commands[name].items():
            if argument in given:
                wrong = kind.wrong(given[argument])
                if wrong:
                    return refused("{}: {}".format(argument, wrong))
                arguments[parameter] = given[argument]
        try:
            result = getattr(self, "on_" + name)(**arguments)
        except Exception as error:
            return refused("{}: {}".format(type(error).__name__, error))
        answer = {"ok": True}
        answer.update(result or {})
        return answer

    # The connection

    def _make_client(self):
        tls = None
        if getattr(credential, "CA", None):
            import ssl

            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            tls.verify_mode = ssl.CERT_REQUIRED
            with open(credential.CA, "rb") as ca:
                tls.load_verify_locations(cadata=ca.read())
        client = MQTTClient(
            credential.DEVICE,
            credential.HOST,
            port=credential.PORT,
            user=credential.DEVICE,
            password=credential.TOKEN,
            keepalive=KEEPALIVE_SECONDS,
            ssl=tls,
        )
        client.set_callback(self._message)
        return client

    def loop(self, wait_ms=200):
        """Connects, sends and receives; call it again and again."""
        now = time.ticks_ms()
        try:
            if not self._online and time.ticks_diff(now, self._try_at) >= 0:
                self._connect()
            if self._online:
                self._client.check_msg()
                if time.ticks_diff(now, self._pinged) > KEEPALIVE_SECONDS * 500:
                    self._client.ping()
                    self._pinged = now
                while self._inbox:
                    self._handle(*self._inbox.pop(0))
                self._flush("me/urgent", self._urgent, 1)
                self._flush("me/telemetry", self._telemetry, BATCH_MAX)
        except (OSError, MQTTException, AssertionError, IndexError, TypeError) as error:
            # The last three are how the library says that the other side closed.
            self._lost(error)
        time.sleep_ms(wait_ms)

    def _connect(self):
        # A session that stays: commands given while the device is away wait for it.
        try:
            self._client.connect(False, SOCKET_SECONDS_MAX)
        except TypeError:
            self._client.connect(False)  # umqtt.simple of MicroPython 1.22 knows no timeout yet.
        self._online, self._since = True, time.ticks_ms()
        say("connected as {}; {} messages wait".format(self.device, self.waiting()))
        self._client.subscribe("me/desired", qos=1)
        self._client.subscribe("me/command/+", qos=1)
        self._report()

    def _lost(self, error):
        if self._online and time.ticks_diff(time.ticks_ms(), self._since) > STABLE_MS:
            self._attempts = 0
        say("{}; {} messages wait".format(self._explain(error), self.waiting()))
        self._online = False
        try:
            self._client.sock.close()
        except (AttributeError, OSError):
            pass  # It was never open, or is closed already.
        # Exponential, with full jitter: a fleet must not come back in one moment.
        most = min(BACKOFF_MS_MAX, BACKOFF_MS_MIN << self._attempts)
        self._attempts = min(self._attempts + 1, 6)
        self._try_at = time.ticks_add(time.ticks_ms(), int(random.random() * most))

    def _explain(self, error):
        """What an error means here, and what to do."""
        code = error.args[0] if error.args else 0
        if isinstance(error, MQTTException) and code in LOGIN_REFUSED:
            return (
                "the server does not accept the token of {0} (CONNACK {1}). Is it revoked? Issue "
                "another: iotbiz device rotate {0}, and write it to credential.py"
            ).format(self.device, code)
        if isinstance(error, MQTTException):
            return "the server refused the connection (CONNACK {})".format(code)
        where = "{}:{}".format(credential.HOST, credential.PORT)
        if getattr(credential, "CA", None) and ("CERT" in str(error).upper() or "X509" in str(error)):
            now = time.gmtime()
            if wall_ms() is None:
                return (
                    "the certificate of {} is not yet valid: the clock here says {}. Set it: "
                    "ntptime.settime()"
                ).format(where, now)
            return (
                "the certificate of {} is not accepted: {}. Wrong CA, another name, or the wrong "
                "time here ({})? iotbiz connect {} --for micropython --tls --update"
            ).format(where, error, now, self.device)
        if self._online:
            return "the connection is lost: {}".format(error)
        return "cannot reach {}: {}".format(where, error)


def ms_of(text):
    """Milliseconds of an RFC 3339 time in UTC; an unreadable one has passed."""
    try:
        year, month, day = int(text[0:4]), int(text[5:7]), int(text[8:10])
        hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    except ValueError:
        return 0
    # Days of 1970-01-01 to a date, by Howard Hinnant's days_from_civil: mktime() differs from board
    # to board.
    year -= month <= 2
    era, of_era = year // 400, year % 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000
