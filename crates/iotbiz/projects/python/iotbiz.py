"""The connection of a device to its server: what devices of every kind need.

`iotbiz connect @device@ --for python --update` writes this file again; your own code is in main.py.

What was measured waits in a buffer until the server has acknowledged that it is durable. The buffer
is in memory: it survives a lost connection, not a lost power supply.
"""

from __future__ import annotations

import collections
import json
import logging
import math
import os
import pathlib
import random
import ssl
import threading
import time

import paho.mqtt.client as mqtt

BUFFER_MAX = 10_000  # messages kept while offline; the oldest are dropped and counted
BATCH_MAX = 100  # of them sent at once
URGENT_MAX = 10  # of the urgent lane; the server takes ten at once
COMMANDS_KNOWN_MAX = 64  # ids of commands that are not done twice
BACKOFF_SECONDS_MIN = 1.0
BACKOFF_SECONDS_MAX = 60.0
STABLE_SECONDS = 30.0  # a connection that lasted this long starts the back-off anew
CONNECT_SECONDS_MAX = 10.0
KEEPALIVE_SECONDS = 60
TEXT_BYTES_MAX = 1024
# Before this (2023-11-14) a clock was never set.
CLOCK_MS_MIN = 1_700_000_000_000
# Short, because paho may only be used by one thread: what other threads send waits this long.
LOOP_SECONDS = 0.2
# CONNACK: bad user name or password, not authorised; of MQTT 3.1.1 and of MQTT 5.
LOGIN_REFUSED = (4, 5, 0x86, 0x87)

CREDENTIAL = os.environ.get("IOTBIZ_CREDENTIAL", "credential.env")
log = logging.getLogger("iotbiz")


class Number:
    def __init__(self, unit="", least=None, most=None):
        self.unit, self.least, self.most = unit, least, most

    def wrong(self, value):
        """Why a value cannot be taken, or None."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{value!r} is not a number"
        if not math.isfinite(value):
            return f"{value} is not a finite number"
        if self.least is not None and value < self.least:
            return f"{value} is below {self.least} {self.unit}".rstrip()
        if self.most is not None and value > self.most:
            return f"{value} is above {self.most} {self.unit}".rstrip()
        return None


class Boolean:
    def wrong(self, value):
        return None if isinstance(value, bool) else f"{value!r} is neither True nor False"


class Text:
    def wrong(self, value):
        if not isinstance(value, str):
            return f"{value!r} is not a text"
        if len(value.encode()) > TEXT_BYTES_MAX:
            return f"the text is longer than {TEXT_BYTES_MAX} bytes"
        return None


class Position:
    def wrong(self, value):
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            return f"{value!r} is not (latitude, longitude)"
        latitude, longitude = value
        return Number("°", -90, 90).wrong(latitude) or Number("°", -180, 180).wrong(longitude)


def credential(path=CREDENTIAL):
    """The lines NAME=VALUE of the credential's file."""
    try:
        lines = pathlib.Path(path).read_text().splitlines()
    except OSError as error:
        raise SystemExit(f"cannot read {path}: {error}. It holds the token of this device.") from None
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    found = {name.strip(): value.strip() for name, value in pairs}
    for name in ("IOTBIZ_HOST", "IOTBIZ_PORT", "IOTBIZ_DEVICE", "IOTBIZ_TOKEN"):
        if not found.get(name):
            raise SystemExit(f"{path} has no {name}")
    return found


def wall_ms():
    """Milliseconds since 1970, or None while the clock is not set."""
    now = time.time_ns() // 1_000_000
    return now if now >= CLOCK_MS_MIN else None


class Entry:
    """What was measured at one moment."""

    def __init__(self, values):
        self.values = values
        self.ts, self.uptime = wall_ms(), time.monotonic()

    def dated(self):
        """As it is sent, or None while it cannot be dated.

        What was measured before the clock was set is dated by its age. While the clock is not set
        only what was measured just now may go without a date: the server takes its own time.
        """
        age = time.monotonic() - self.uptime
        ts = self.ts
        if ts is None and wall_ms() is not None:
            ts = wall_ms() - int(age * 1000)
        if ts is not None:
            return {"ts": ts, "values": self.values}
        return self.values if age < 2 * LOOP_SECONDS + 1 else None


class Lane:
    """What waits for one topic; lanes are apart, so that what is urgent is never behind the rest."""

    def __init__(self, topic, most, batch_most):
        self.topic, self.most, self.batch_most = topic, most, batch_most
        self.entries = collections.deque()
        self.mid, self.in_flight = None, 0

    def keep(self, entry):
        """Whether the oldest had to be dropped for it."""
        self.entries.append(entry)
        if len(self.entries) <= self.most:
            return False
        self.entries.popleft()
        self.in_flight = max(0, self.in_flight - 1)
        return True

    def acknowledged(self):
        for _ in range(min(self.in_flight, len(self.entries))):
            self.entries.popleft()
        self.mid, self.in_flight = None, 0

    def batch(self):
        """What is sent next: the oldest that can be dated now."""
        bodies = []
        for at in range(min(self.batch_most, len(self.entries))):
            body = self.entries[at].dated()
            if body is None:
                break
            bodies.append(body)
        return bodies


class Connection:
    """What `Device` in device.py is made of. `with Device(...) as device:` connects."""

    readings: dict = {}
    urgent: frozenset = frozenset()
    settings_kinds: dict = {}
    settings_class: type = object
    commands: dict = {}
    device = ""
    remedy = ""

    def __init__(self, firmware, settings=None, credential_file=CREDENTIAL):
        self.firmware = firmware
        #: The settings in force.
        self.settings = settings if settings is not None else self.settings_class()
        #: Messages that did not fit in the buffer.
        self.dropped = 0
        self._credential = credential(credential_file)
        self._folder = pathlib.Path(credential_file).resolve().parent
        self._lock = threading.Lock()
        self._urgent = Lane("me/urgent", URGENT_MAX, 1)
        self._telemetry = Lane("me/telemetry", BUFFER_MAX, BATCH_MAX)
        self._acknowledged = set()
        self._online = False
        self._attempts = 0
        self._settings_version = None
        self._known = collections.OrderedDict()
        self._closing = threading.Event()
        self._changed = threading.Event()
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._run, name="iotbiz", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closing.set()
        self._thread.join(timeout=CONNECT_SECONDS_MAX)

    def wait(self, seconds):
        """Waits, but not longer than until a setting changes."""
        self._changed.wait(seconds)
        self._changed.clear()

    @property
    def waiting(self):
        """Messages that the server has not acknowledged yet."""
        return len(self._urgent.entries) + len(self._telemetry.entries)

    # What is sent

    def _send(self, values, unknown):
        """Sends the values that are right; says what is wrong with each other one."""
        for name in unknown:
            log.error("no reading is called %s. %s", name, self.remedy)
        good = not unknown
        telemetry, urgent = {}, {}
        for name, value in values.items():
            if value is None:
                continue
            wrong = self.readings[name].wrong(value)
            if wrong:
                log.error("%s is not sent: %s", name, wrong)
                good = False
            else:
                (urgent if name in self.urgent else telemetry)[name] = value
        self._keep(self._urgent, urgent)
        self._keep(self._telemetry, telemetry)
        return good

    def _keep(self, lane, values):
        if not values:
            return
        with self._lock:
            if not lane.keep(Entry(values)):
                return
            self.dropped += 1
            dropped = self.dropped
        if dropped % 1000 == 1:
            log.warning("the buffer of %d is full: %d oldest dropped", lane.most, dropped)

    def _flush(self):
        """Sends the next batch of each lane, when the one before it is acknowledged."""
        for lane in (self._urgent, self._telemetry):
            with self._lock:
                if lane.mid in self._acknowledged:
                    lane.acknowledged()
                if not self._online or lane.mid is not None:
                    continue
                bodies = lane.batch()
                lane.in_flight = len(bodies)
            if not bodies:
                continue
            body = json.dumps(bodies if len(bodies) > 1 else bodies[0], separators=(",", ":"))
            # Without the lock: paho writes to the socket here.
            lane.mid = self._client.publish(lane.topic, body, qos=1).mid
        self._acknowledged.clear()

    def _report(self):
        """Tells the server which settings are in force, and what runs here."""
        body = {"firmware": self.firmware}
        for name, (attribute, _) in self.settings_kinds.items():
            value = getattr(self.settings, attribute)
            if value is not None:
                body[name] = value
        self._client.publish("me/reported", json.dumps(body), qos=1)

    # What comes

    def _on_message(self, _client, _userdata, message):
        try:
            body = json.loads(message.payload or b"{}")
        except ValueError as error:
            log.error("%s is no JSON: %s", message.topic, error)
            return
        if message.topic == "me/desired":
            self._desired(body)
        elif message.topic.startswith("me/command/"):
            self._command(message.topic, body)

    def _desired(self, body):
        version = body.get("version")
        if version is not None and version == self._settings_version:
            return  # Retained: it comes again with every connection.
        wanted = self.settings_class(**vars(self.settings))
        for name, value in body.get("values", {}).items():
            if name not in self.settings_kinds:
                log.error("a setting %s is wanted that is unknown here. %s", name, self.remedy)
                continue
            attribute, kind = self.settings_kinds[name]
            wrong = kind.wrong(value)
            if wrong:
                log.error("setting %s stays as it is: %s", name, wrong)
            else:
                setattr(wanted, attribute, value)
        try:
            in_force = self.take_settings(wanted)
        except Exception:
            log.exception("take_settings failed; the settings stay as they are")
            in_force = None
        if in_force is not None:
            self.settings = in_force
        self._settings_version = version
        self._changed.set()
        self._report()

    def take_settings(self, wanted):
        return wanted

    def _command(self, topic, body):
        command = topic[len("me/command/") :]
        if command in self._known or "/" in command:
            return
        self._known[command] = None
        while len(self._known) > COMMANDS_KNOWN_MAX:
            self._known.popitem(last=False)
        answer = self._answer(body)
        log.info("command %s: %s", body.get("name"), answer)
        self._client.publish(f"{topic}/answer", json.dumps(answer), qos=1)

    def _answer(self, body):
        def refused(why):
            return {"ok": False, "error": why}

        name, expires = body.get("name"), body.get("expires")
        if name not in self.commands:
            return refused(f"this device knows no command {name}")
        if isinstance(expires, str):
            expires = _ms_of(expires)
        if expires is not None:
            now = wall_ms()
            if now is None:
                return refused("the clock of the device is not set: it cannot see what expired")
            if now > expires:
                return refused("expired")
        arguments, given = {}, body.get("args") or {}
        for argument, (parameter, kind) in self.commands[name].items():
            if argument in given:
                wrong = kind.wrong(given[argument])
                if wrong:
                    return refused(f"{argument}: {wrong}")
                arguments[parameter] = given[argument]
        try:
            result = getattr(self, f"on_{name}")(**arguments)
        except NotImplementedError:
            return refused(f"on_{name} is not written yet")
        except Exception as error:
            log.exception("on_%s failed", name)
            return refused(str(error) or type(error).__name__)
        return {"ok": True, **(result or {})}

    # The connection

    def _make_client(self):
        # A session that stays: commands given while the device is away wait for it.
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=self._credential["IOTBIZ_DEVICE"],
            clean_session=False,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.username_pw_set(self._credential["IOTBIZ_DEVICE"], self._credential["IOTBIZ_TOKEN"])
        client.connect_timeout = CONNECT_SECONDS_MAX
        if self._credential.get("IOTBIZ_CA"):
            ca = self._folder / self._credential["IOTBIZ_CA"]
            if not ca.is_file():
                raise SystemExit(f"{ca} is not there: it holds the certificate the server shows")
            client.tls_set(ca_certs=str(ca))
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = lambda _c, _u, mid, _r, _p: self._acknowledged.add(mid)
        return client

    def _run(self):
        while not self._closing.is_set():
            started = time.monotonic()
            try:
                self._connect()
                while not self._closing.is_set() and self._alive(started):
                    self._flush()
            except (OSError, ValueError) as error:
                log.warning("%s", self._explain(error))
            lasted = time.monotonic() - started
            if self._online:
                log.warning("the connection is lost; %d messages wait", self.waiting)
                self._attempts = 0 if lasted > STABLE_SECONDS else self._attempts
            self._online = False
            if self._closing.is_set():
                self._client.disconnect()
                return
            self._closing.wait(self._backoff())

    def _connect(self):
        host, port = self._credential["IOTBIZ_HOST"], int(self._credential["IOTBIZ_PORT"])
        self._client.connect(host, port, keepalive=KEEPALIVE_SECONDS)

    def _alive(self, started):
        """One turn of the network; False when the connection ended."""
        if not self._online and time.monotonic() - started > CONNECT_SECONDS_MAX:
            raise TimeoutError("the server did not answer CONNECT")
        return self._client.loop(timeout=LOOP_SECONDS) == mqtt.MQTT_ERR_SUCCESS

    def _backoff(self):
        """Exponential, with full jitter: a fleet must not come back in one moment."""
        most = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(0, most)

    def _on_connect(self, client, _userdata, _flags, code, _properties):
        if code.value == 0:
            self._online = True
            log.info("connected as %s; %d messages wait", self.device, self.waiting)
            client.subscribe([("me/desired", 1), ("me/command/+", 1)])
            self._report()
        elif code.value in LOGIN_REFUSED:
            log.error(
                "the server does not accept the token of %s (CONNACK %d). Is it revoked? "
                "Issue another: iotbiz device rotate %s, and write it to %s",
                *(self.device, code.value, self.device, CREDENTIAL),
            )
        else:
            log.error("the server refused the connection: %s (CONNACK %d)", code, code.value)

    def _explain(self, error):
        """What an error of the network means here, and what to do."""
        where = f"{self._credential['IOTBIZ_HOST']}:{self._credential['IOTBIZ_PORT']}"
        if isinstance(error, ssl.SSLCertVerificationError):
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            # Numbers of OpenSSL: X509_V_ERR_*.
            if error.verify_code == 9:
                return (
                    f"the certificate of {where} is not yet valid: the clock here says {now}. "
                    "Set it: timedatectl set-ntp true"
                )
            if error.verify_code == 10:
                return (
                    f"the certificate of {where} has expired: the clock here says {now}. "
                    "When that is right, the server needs another certificate"
                )
            if error.verify_code in (18, 19, 20, 21):
                ca = self._credential.get("IOTBIZ_CA")
                return (
                    f"the certificate of {where} is not signed by {ca}: wrong CA. Get the one of "
                    "this server: iotbiz connect " + self.device + " --for python --tls --update"
                )
            if error.verify_code in (62, 63, 64):
                return (
                    f"the certificate is not for {self._credential['IOTBIZ_HOST']}: "
                    "write a name or address to IOTBIZ_HOST that the certificate has"
                )
        if isinstance(error, ssl.SSLError):
            return f"no TLS with {where}: {error}. Is IOTBIZ_PORT the port of MQTT over TLS?"
        return f"cannot reach {where}: {error}; {self.waiting} messages wait"


def _ms_of(text):
    """Milliseconds of an RFC 3339 time; an unreadable one has passed."""
    import datetime

    try:
        return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
    except ValueError:
        return 0
