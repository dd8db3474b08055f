"""Firmware made for ThingsBoard, by ThingsBoard's own client, which knows nothing of this server.

The client brings its own copy of paho-mqtt, so it runs in an environment of its own: `facts` starts
this file there.
"""

import os
import queue
import subprocess
import sys

from server import Refused, Server
from verdicts import eventually, fact
import verdicts

WAIT_SECONDS = 8


def facts():
    """Runs this file with the Python that has ThingsBoard's client; its lines count."""
    done = subprocess.run([os.environ["THINGSBOARD_PYTHON"], __file__], timeout=300)
    verdicts.failed += done.returncode


class Heard:
    """What a callback was told, in order."""

    def __init__(self):
        self.queue = queue.Queue()

    def __call__(self, *told):
        self.queue.put(told)

    def next(self):
        try:
            return self.queue.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise AssertionError(f"nothing came within {WAIT_SECONDS} s") from None

    def until(self, wanted):
        while True:
            told = self.next()
            if wanted(told):
                return told


def connected(client):
    client.connect()
    eventually("connected", client.is_connected)
    return client


class Program:
    """A service of the tenant: it commands devices and reads what they answer."""

    def __init__(self, server):
        import paho.mqtt.client as paho

        token = server.api("POST", "/tokens", {"name": "erp"})["token"]
        self.heard = Heard()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=5)
        self.client.username_pw_set("erp", token)
        self.client.on_message = lambda c, u, m: self.heard(m.topic, m.payload.decode())
        granted = Heard()
        self.client.on_subscribe = lambda *told: granted(told)
        self.client.on_connect = lambda *told: self.client.subscribe("t/+/d/+/command/+/answer", 1)
        self.client.connect(server.host, server.port)
        self.client.loop_start()
        granted.next()
        self.tenant = server.tenant

    def command(self, device, command, body):
        topic = f"t/{self.tenant}/d/{device}/command/{command}"
        self.client.publish(topic, body, qos=1).wait_for_publish(WAIT_SECONDS)

    def answer(self, device, command):
        topic = f"t/{self.tenant}/d/{device}/command/{command}/answer"
        return self.heard.until(lambda told: told[0] == topic)[1]


def twin(server, device):
    return server.api("GET", f"/devices/{device}/twin")


def reported(server, device, name):
    return twin(server, device)["reported"].get(name, {}).get("value")


def device_facts(server, program):
    from tb_device_mqtt import TBDeviceMqttClient

    login = server.add("tb-1")
    client = TBDeviceMqttClient(server.host, server.port, username=login.password)

    with fact("thingsboard: the access token alone is the login"):
        connected(client)

    with fact("thingsboard: telemetry is in the twin"):
        result = client.send_telemetry({"temperature": 21.5, "lid_open": True})
        assert result.get() == 0, f"publish {result.get()}"
        eventually("21.5", lambda: server.reading(login.user, "temperature") == 21.5)
        assert server.reading(login.user, "lid_open") is True

    with fact("thingsboard: buffered telemetry keeps its times"):
        ts = 1795608000000
        client.send_telemetry([{"ts": ts, "values": {"temperature": 3.25}}]).get()
        client.send_telemetry({"temperature": 22.5}).get()
        eventually("22.5", lambda: server.reading(login.user, "temperature") == 22.5)
        history = server.api("GET", f"/devices/{login.user}/messages")["items"]
        assert any(str(ts) in str(line) for line in history), "the time is not in the message"

    with fact("thingsboard: attributes are reported settings"):
        client.send_attributes({"interval": 600}).get()
        eventually("600", lambda: reported(server, login.user, "interval") == 600)

    with fact("thingsboard: a subscription to attributes gets desired settings"):
        attributes = Heard()
        client.subscribe_to_all_attributes(attributes)
        server.api("PATCH", f"/devices/{login.user}/desired", {"interval": "15 min"})
        told = attributes.until(lambda told: told[0].get("interval") == 900)
        assert told[0] == {"interval": 900}, told[0]

    with fact("thingsboard: requested attributes are answered"):
        answer = Heard()
        client.request_attributes(["interval", "no_such"], ["interval"], answer)
        body, error = answer.next()
        assert error is None, error
        assert body == {"client": {"interval": 600}, "shared": {"interval": 900}}, body

    with fact("thingsboard: a command is an RPC call, and its reply the answer"):
        calls = Heard()
        client.set_server_side_rpc_request_handler(calls)
        program.command(login.user, "cmd_a1", '{"name":"locate","args":{"seconds":5}}')
        number, call = calls.next()
        assert call == {"method": "locate", "params": {"seconds": 5}}, call
        assert number.isdigit(), number
        client.send_rpc_reply(number, {"found": True}, wait_for_publish=True)
        answer = program.answer(login.user, "cmd_a1")
        assert '"ok":true' in answer and '"found":true' in answer, answer

    with fact("thingsboard: a desired setting that changed while it was away arrives"):
        client.disconnect()
        server.api("PATCH", f"/devices/{login.user}/desired", {"interval": "20 min"})
        again = TBDeviceMqttClient(server.host, server.port, username=login.password)
        attributes = Heard()
        again.subscribe_to_all_attributes(attributes)
        connected(again)
        attributes.until(lambda told: told[0].get("interval") == 1200)
        again.disconnect()


def gateway_facts(server, program):
    from tb_gateway_mqtt import TBGatewayMqttClient

    # Names of ThingsBoard may have capitals and spaces; here the second is `tb-child-2`.
    names = ["tb-child-1", "TB Child 2"]
    children = [server.add(name) for name in ("tb-child-1", "tb-child-2")]
    gateway = server.add("tb-gateway")
    listed = {"children": [child.user for child in children]}
    server.api("PATCH", f"/devices/{gateway.user}", listed)
    client = TBGatewayMqttClient(server.host, server.port, username=gateway.password)

    with fact("thingsboard gateway: connects its children"):
        connected(client)
        eventually("subscribed", lambda: not client.get_subscriptions_in_progress())
        for name in names:
            assert client.gw_connect_device(name).get() == 0

    with fact("thingsboard gateway: each child's telemetry is in its own twin"):
        for n in (1, 2):
            values = {"ts": 1795608000000 + n, "values": {"temperature": n + 0.5}}
            client.gw_send_telemetry(names[n - 1], values).get()
        for n, child in enumerate(children, start=1):
            eventually("its own", lambda: server.reading(child.user, "temperature") == n + 0.5)

    with fact("thingsboard gateway: attributes of a child are its reported settings"):
        client.gw_send_attributes("tb-child-1", {"interval": 120}).get()
        eventually("120", lambda: reported(server, children[0].user, "interval") == 120)
        assert reported(server, children[1].user, "interval") is None

    with fact("thingsboard gateway: an unlisted child is refused and told to the owner"):
        client.gw_connect_device("tb-stranger")
        client.gw_send_telemetry("tb-stranger", {"temperature": 66})
        told = lambda: [
            refusal
            for refusal in server.api("GET", "/refusals")["items"]
            if "tb-stranger" in str(refusal) and "unknown_child" in str(refusal)
        ]
        eventually("told to the owner", told)
        client.gw_send_telemetry("tb-child-1", {"temperature": 7.5}).get()
        eventually("goes on", lambda: server.reading(children[0].user, "temperature") == 7.5)
        try:
            server.api("GET", "/devices/tb-stranger")
        except Refused as refused:
            assert refused.status == 404, refused
        else:
            raise AssertionError("a device was made")

    with fact("thingsboard gateway: a child's desired settings come with its name"):
        attributes = Heard()
        client.gw_subscribe_to_all_attributes(attributes)
        server.api("PATCH", f"/devices/{children[1].user}/desired", {"interval": "5 min"})
        body = attributes.until(lambda told: told[0].get("device") == names[1])[0]
        assert body == {"device": names[1], "data": {"interval": 300}}, body

    with fact("thingsboard gateway: attributes of a child are answered"):
        answer = Heard()
        client.gw_request_client_attributes("tb-child-1", ["interval"], answer)
        body = answer.next()[0]
        assert (body["device"], body["values"]) == ("tb-child-1", {"interval": 120}), body

    with fact("thingsboard gateway: a child's command is a call, and its reply the answer"):
        calls = Heard()
        client.gw_set_server_side_rpc_request_handler(calls)
        program.command(children[1].user, "cmd_b2", '{"name":"blink","args":3}')
        _, call = calls.next()
        assert call["device"] == names[1], call
        assert (call["data"]["method"], call["data"]["params"]) == ("blink", 3), call
        client.gw_send_rpc_reply(names[1], call["data"]["id"], {"blinked": 3})
        answer = program.answer(children[1].user, "cmd_b2")
        assert '"ok":true' in answer and '"blinked":3' in answer, answer

    client.disconnect()


def http_facts(server):
    from tb_device_http import TBHTTPDevice

    login = server.add("tb-http")
    client = TBHTTPDevice(f"http://{server.http}", login.password)

    with fact("thingsboard http: telemetry is in the twin"):
        client.send_telemetry({"temperature": 4.25}, queued=False)
        eventually("4.25", lambda: server.reading(login.user, "temperature") == 4.25)

    with fact("thingsboard http: attributes are reported settings"):
        client.send_attributes({"interval": 60})
        eventually("60", lambda: reported(server, login.user, "interval") == 60)

    with fact("thingsboard http: a wrong token is refused"):
        try:
            server.call("POST", "/api/v1/not-a-token-of-anyone/telemetry", b"{}")
        except Refused as refused:
            assert refused.status == 401, refused
        else:
            raise AssertionError("let in")


def stranger_facts(server):
    """Last, as the door remembers who guesses."""
    from tb_device_mqtt import TBDeviceMqttClient

    with fact("thingsboard: a wrong token is refused"):
        stranger = TBDeviceMqttClient(server.host, server.port, username="not-a-token-of-anyone")
        refused = Heard()
        stranger.connect(callback=lambda client, data, flags, code, *more: refused(code))
        assert refused.next()[0].value in (0x86, 0x87), "let in"
        stranger.stop()
        stranger.disconnect()


def main():
    server = Server()
    try:
        server.start()
        server.apply()
        program = Program(server)
        device_facts(server, program)
        gateway_facts(server, program)
        http_facts(server)
        stranger_facts(server)
    finally:
        server.remove()
    # The client's threads never end by themselves.
    sys.stdout.flush()
    os._exit(verdicts.failed)


if __name__ == "__main__":
    main()
