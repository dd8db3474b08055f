"""The four foreign clients behind one small interface.

Each gives:
    connect(login) -> reason code of the CONNACK
    publish(login, topic, qos, payload) -> reason code of the PUBACK, "closed", or None where the
        protocol or the client has none
    subscribe(login, filter, count) -> (granted code, [(topic, payload)])

Version is 4 for MQTT 3.1.1 and 5 for MQTT 5.
"""

import asyncio
import json
import pathlib
import queue
import subprocess

import gmqtt
import paho.mqtt.client as paho

WAIT_SECONDS = 8


class Paho:
    name = "paho-mqtt"

    def __init__(self, server, version):
        self.server, self.version = server, version

    def _client(self, login, client_id):
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=self.version
        )
        client.username_pw_set(login.user, login.password)
        client.events = queue.Queue()
        note = client.events.put
        client.on_connect = lambda c, u, f, code, p: note(("connected", code.value))
        client.on_connect_fail = lambda c, u: note(("connected", "closed"))
        client.on_disconnect = lambda c, u, f, code, p: note(("closed", code.value))
        client.on_publish = lambda c, u, mid, code, p: note(("published", code.value))
        client.on_subscribe = lambda c, u, mid, codes, p: note(("granted", codes[0].value))
        client.on_message = lambda c, u, m: note(("message", (m.topic, m.payload.decode())))
        client.connect(self.server.host, self.server.port, keepalive=30)
        client.loop_start()
        return client

    @staticmethod
    def _next(client, wanted):
        while True:
            what, value = client.events.get(timeout=WAIT_SECONDS)
            if what == wanted:
                return value
            if what == "closed":
                return "closed"

    @staticmethod
    def _end(client):
        client.disconnect()
        client.loop_stop()

    def connect(self, login):
        client = self._client(login, "paho-connect")
        try:
            return self._next(client, "connected")
        finally:
            self._end(client)

    def publish(self, login, topic, qos, payload):
        client = self._client(login, "paho-publish")
        try:
            assert self._next(client, "connected") == 0
            client.publish(topic, payload, qos=qos)
            return self._next(client, "published")
        finally:
            self._end(client)

    def subscribe(self, login, topic_filter, count):
        client = self._client(login, "paho-subscribe")
        try:
            assert self._next(client, "connected") == 0
            client.subscribe(topic_filter, qos=1)
            granted = self._next(client, "granted")
            return granted, [self._next(client, "message") for _ in range(count)]
        finally:
            self._end(client)


class Gmqtt:
    name = "gmqtt"

    def __init__(self, server, version):
        self.server, self.version = server, version

    def _run(self, work):
        return asyncio.run(asyncio.wait_for(work, WAIT_SECONDS))

    async def _client(self, login, client_id):
        client = gmqtt.Client(client_id)
        client.set_auth_credentials(login.user, login.password)
        client.set_config({"reconnect_retries": 0, "reconnect_delay": 0})
        client.granted = asyncio.Queue()
        client.received = asyncio.Queue()

        async def message(client, topic, payload, qos, properties):
            client.received.put_nowait((topic, payload.decode()))
            return 0

        client.on_message = message
        client.on_subscribe = lambda c, mid, qos, properties: c.granted.put_nowait(qos[0])
        await client.connect(self.server.host, self.server.port, version=self.version)
        return client

    def connect(self, login):
        async def work():
            try:
                client = await self._client(login, "gmqtt-connect")
            except gmqtt.mqtt.handler.MQTTConnectError as error:
                return error._code
            await client.disconnect()
            return 0

        return self._run(work())

    def publish(self, login, topic, qos, payload):
        async def work():
            client = await self._client(login, "gmqtt-publish")
            client.publish(topic, payload, qos=qos)
            # gmqtt keeps what is not acknowledged in a store of its own and forgets it at PUBACK.
            await client._persistent_storage.wait_empty()
            await client.disconnect()
            return None

        return self._run(work())

    def subscribe(self, login, topic_filter, count):
        async def work():
            client = await self._client(login, "gmqtt-subscribe")
            client.subscribe(topic_filter, qos=1)
            granted = await client.granted.get()
            messages = [await client.received.get() for _ in range(count)]
            await client.disconnect()
            return granted, messages

        return self._run(work())


class Program:
    """A client in another process: `node` and the two programs of mosquitto."""

    def __init__(self, server, version):
        self.server, self.version = server, version

    @staticmethod
    def _run(command):
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS + 4,
        )


class Node(Program):
    name = "mqtt.js"

    def _ask(self, login, **order):
        order |= {
            "host": self.server.host,
            "port": self.server.port,
            "version": self.version,
            "user": login.user,
            "password": login.password,
            "wait_ms": WAIT_SECONDS * 1000,
        }
        script = pathlib.Path(__file__).with_name("client.cjs")
        done = self._run(["node", str(script), json.dumps(order)])
        assert done.returncode == 0, f"client.cjs: {done.stderr.strip()[-300:]}"
        return json.loads(done.stdout)

    def connect(self, login):
        return self._ask(login, what="connect")["code"]

    def publish(self, login, topic, qos, payload):
        return self._ask(login, what="publish", topic=topic, qos=qos, payload=payload)["code"]

    def subscribe(self, login, topic_filter, count):
        said = self._ask(login, what="subscribe", topic=topic_filter, count=count)
        return said["code"], [tuple(message) for message in said["messages"]]


class Mosquitto(Program):
    name = "mosquitto_pub/sub"

    def _command(self, program, login, *arguments):
        version = {4: "mqttv311", 5: "mqttv5"}[self.version]
        return [
            *(program, "-h", self.server.host, "-p", str(self.server.port), "-V", version),
            *("-u", login.user, "-P", login.password, *arguments),
        ]

    def connect(self, login):
        # The topic is the device's own, so that only the login decides.
        command = self._command("mosquitto_pub", login, "-q", "0", "-t", "me/telemetry", "-m", "{}")
        return self._run(command).returncode

    def publish(self, login, topic, qos, payload):
        arguments = ["-q", str(qos), "-t", topic, "-m", payload]
        done = self._run(self._command("mosquitto_pub", login, *arguments))
        refused = ("not authorised", "connection was lost")
        assert done.returncode == 0 or any(why in done.stderr.lower() for why in refused), done.stderr
        return None if done.returncode == 0 and "Warning" not in done.stderr else "closed"

    def subscribe(self, login, topic_filter, count):
        arguments = ["-q", "1", "-t", topic_filter, "-v", "-W", str(WAIT_SECONDS)]
        arguments += ["-C", str(count)] if count else ["-E"]
        done = self._run(self._command("mosquitto_sub", login, *arguments))
        if "denied" in done.stderr.lower() or "rejected" in done.stderr.lower():
            return 0x80, []
        assert done.returncode == 0, f"mosquitto_sub: {done.returncode} {done.stderr.strip()}"
        messages = [tuple(line.split(" ", 1)) for line in done.stdout.splitlines()]
        return 1, messages


ALL = [Paho, Gmqtt, Node, Mosquitto]
