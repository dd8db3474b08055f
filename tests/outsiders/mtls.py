"""Certificates with tools that nobody here wrote: openssl, curl, and four MQTT clients over TLS."""

import asyncio
import json
import pathlib
import queue
import re
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import gmqtt
import paho.mqtt.client as paho

from server import BINARY, BLUEPRINT, START_SECONDS_MAX, Refused, Server
from verdicts import eventually, fact

WAIT_SECONDS = 8
# A refusal is told, and a session ended, within this time (trust.md, C5).
REVOKED_SECONDS_MAX = 1.0
# "Not authorised" and "administrative action" (MQTT 5, 3.14.2.1).
REVOKED_CODES = {0x87, 0x98}

NODE = """
const mqtt = require("mqtt");
const fs = require("fs");
const order = JSON.parse(process.argv[1]);
const client = mqtt.connect(`mqtts://${order.host}:${order.port}`, {
  ca: fs.readFileSync(order.ca), cert: fs.readFileSync(order.cert),
  key: fs.readFileSync(order.key), protocolVersion: 5, reconnectPeriod: 0,
});
client.on("error", (error) => { console.error(String(error)); process.exit(1); });
client.on("connect", () => {
  client.publish("me/telemetry", order.payload, { qos: 1 }, (error) => {
    if (error) { console.error(String(error)); process.exit(1); }
    client.end(false, () => process.exit(0));
  });
});
"""


class Secure(Server):
    """The same server with TLS on both ports, and a folder for keys beside its data."""

    def __init__(self):
        super().__init__()
        self.mqtts = None
        self.folder = pathlib.Path(self.data) / "outside"

    def start(self):
        command = [BINARY, "run", "--json", "--trust-loopback", "--data", self.data]
        command += ["--listen", self.http, "--mqtt", self.mqtt, "--mqtts", "127.0.0.1:0", "--https"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        alarm = threading.Timer(START_SECONDS_MAX, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        assert line, f"`{' '.join(command)}` ended before it said where it listens"
        said = json.loads(line)
        assert said["https"], said
        self.http, self.mqtt, self.mqtts = said["http"], said["mqtt"], said["mqtts"]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.folder.mkdir(exist_ok=True)
        return self

    @property
    def root(self):
        """What everybody trusts."""
        return str(pathlib.Path(self.data) / "ca" / "root.crt")

    @property
    def port(self):
        return int(self.mqtts.rsplit(":", 1)[1])

    def call(self, method, path, data, **headers):
        request = urllib.request.Request(
            f"https://{self.http}{path}",
            method=method,
            data=data,
            headers={"content-type": "application/json", **headers},
        )
        context = ssl.create_default_context(cafile=self.root)
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None
        return text if text.startswith("-----") else json.loads(text) if text else None

    def apply(self):
        self.api("PUT", "/ventures/outsiders/blueprint", {"text": BLUEPRINT.read_text()})

    def keep(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def certify(self, device):
        """A certificate and a key for a device."""
        made = self.api("POST", f"/devices/{device}/certificates", {})
        cert = self.keep(f"{device}.crt", made["chain"])
        return Shown(cert, self.keep(f"{device}.key", made["private_key"]), made["id"], made["serial"])

    def refused(self):
        """The reason of the newest refusal."""
        items = self.api("GET", "/refusals?limit=1")["items"]
        return items[0]["reason"] if items else None


class Shown:
    """What a client shows, as files."""

    def __init__(self, cert, key, credential=None, serial=None):
        self.cert, self.key, self.credential, self.serial = cert, key, credential, serial


def run(*command, stdin=None):
    return subprocess.run(
        [str(word) for word in command],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS + 4,
    )


def ran(*command, stdin=None):
    """The output of a command that must succeed."""
    done = run(*command, stdin=stdin)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}"
    return done.stdout


def paho_client(server, shown):
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, client_id="paho-tls", protocol=paho.MQTTv5
    )
    client.tls_set(server.root, shown.cert, shown.key)
    client.events = queue.Queue()
    note = client.events.put
    client.on_connect = lambda c, u, f, code, p: note(("connected", code.value))
    client.on_connect_fail = lambda c, u: note(("connected", "closed"))
    client.on_disconnect = lambda c, u, f, code, p: note(("closed", code.value))
    client.on_publish = lambda c, u, mid, code, p: note(("published", code.value))
    client.connect(server.host, server.port, keepalive=30)
    client.loop_start()
    return client


def event(client, wanted, seconds=WAIT_SECONDS):
    while True:
        what, value = client.events.get(timeout=seconds)
        if what == wanted:
            return value


def by_paho(server, shown, payload):
    client = paho_client(server, shown)
    try:
        assert event(client, "connected") == 0
        client.publish("me/telemetry", payload, qos=1)
        code = event(client, "published")
        assert code < 0x80, f"PUBACK {code}"
    finally:
        client.disconnect()
        client.loop_stop()


def by_mosquitto(server, shown, payload):
    for version in ("mqttv311", "mqttv5"):
        ran(
            *("mosquitto_pub", "-h", server.host, "-p", server.port, "-V", version),
            *("--cafile", server.root, "--cert", shown.cert, "--key", shown.key),
            *("-q", "1", "-t", "me/telemetry", "-m", payload),
        )


def by_gmqtt(server, shown, payload):
    async def work():
        context = ssl.create_default_context(cafile=server.root)
        context.load_cert_chain(shown.cert, shown.key)
        client = gmqtt.Client("gmqtt-tls")
        client.set_config({"reconnect_retries": 0, "reconnect_delay": 0})
        await client.connect(server.host, server.port, ssl=context, version=5)
        client.publish("me/telemetry", payload, qos=1)
        await client._persistent_storage.wait_empty()
        await client.disconnect()

    asyncio.run(asyncio.wait_for(work(), WAIT_SECONDS))


def by_node(server, shown, payload):
    order = {"host": server.host, "port": server.port, "payload": payload}
    order |= {"ca": server.root, "cert": shown.cert, "key": shown.key}
    ran("node", "-e", NODE, json.dumps(order))


def by_curl(server, shown, payload):
    said = ran(
        *("curl", "--silent", "--fail-with-body", "--cacert", server.root),
        *("--cert", shown.cert, "--key", shown.key, "--data", payload),
        *("-H", "content-type: application/json", f"https://{server.http}/ingest/v1/telemetry"),
    )
    assert json.loads(said)["durable"] is True, said


CLIENTS = {
    "paho-mqtt": by_paho,
    "mosquitto_pub": by_mosquitto,
    "gmqtt": by_gmqtt,
    "mqtt.js": by_node,
    "curl": by_curl,
}


def client_facts(server, shown):
    for number, (name, publish) in enumerate(CLIENTS.items()):
        value = 10.5 + number
        with fact(f"{name}: telemetry by certificate alone is in the twin"):
            publish(server, shown, json.dumps({"temperature": value}))
            eventually(f"{value}", lambda: server.reading("probe-1", "temperature") == value)
    with fact("curl: the console's port is HTTPS with our own authority"):
        assert ran("curl", "--silent", "--cacert", server.root, f"https://{server.http}/healthz")
        assert run("curl", "--silent", f"https://{server.http}/healthz").returncode == 60


def openssl_facts(server, shown):
    with fact("openssl: the chain of a device's certificate verifies, for clients and not for servers"):
        tenant = server.keep("tenant.crt", server.api("GET", "/ca")["tenant"])
        verify = ("openssl", "verify", "-x509_strict", "-CAfile", server.root, "-untrusted", tenant)
        ran(*verify, "-purpose", "sslclient", shown.cert)
        assert run(*verify, "-purpose", "sslserver", shown.cert).returncode != 0
    connect = ("openssl", "s_client", "-connect", server.mqtts, "-CAfile", server.root)
    with fact("openssl: TLS 1.3 and 1.2 are spoken, and the server's certificate verifies"):
        for option, version in (("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")):
            said = ran(*connect, option, "-verify_return_error", "-verify_ip", "127.0.0.1", stdin="")
            assert version in said and "Verify return code: 0 (ok)" in said, said
    with fact("openssl: TLS 1.1 is refused, and the owner is told"):
        old = run(*connect, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", stdin="")
        # Which of the two alerts depends on what else the client offers.
        told = re.search(r"alert (protocol version|handshake failure)", old.stderr)
        assert old.returncode != 0 and told, old.stderr
        eventually("tls_too_old", lambda: server.refused() == "tls_too_old")
    with fact("openssl: a key of 1024 bits is refused as weak"):
        weak = Shown(str(server.folder / "weak.crt"), str(server.folder / "weak.key"))
        ran(
            *("openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-sha256", "-days", "9"),
            *("-subj", "/CN=probe-1", "-keyout", weak.key, "-out", weak.cert),
        )
        show = ("-cert", weak.cert, "-key", weak.key, "-cipher", "DEFAULT:@SECLEVEL=0")
        run(*connect, *show, stdin="wait for the alert")
        eventually("weak_key", lambda: server.refused() == "weak_key")


def revocation_facts(server, shown):
    with fact("paho: a revoked certificate ends its session within a second"):
        client = paho_client(server, shown)
        try:
            assert event(client, "connected") == 0
            begun = time.monotonic()
            server.api("DELETE", f"/devices/probe-1/credentials/{shown.credential}")
            code = event(client, "closed")
            took = time.monotonic() - begun
            assert code in REVOKED_CODES, f"DISCONNECT {code:#x}"
            assert took < REVOKED_SECONDS_MAX, f"{took:.2f} s"
        finally:
            client.loop_stop()
    with fact("paho: it does not come in again, and the owner reads why"):
        client = paho_client(server, shown)
        try:
            assert event(client, "connected") in (0x86, 0x87)
            eventually("revoked", lambda: server.refused() == "revoked")
        finally:
            client.loop_stop()
    with fact("openssl: the revocation list verifies and lists it"):
        tenant = server.keep("tenant.crt", server.api("GET", "/ca")["tenant"])
        path = server.keep("list.crl", server.api("GET", "/ca/crl"))
        read = run("openssl", "crl", "-in", path, "-noout", "-text", "-CAfile", tenant)
        assert read.returncode == 0 and "verify OK" in read.stderr, read.stderr
        assert shown.serial.upper() in read.stdout, read.stdout
    with fact("openssl: whoever checks the list refuses it too"):
        both = server.keep("both.pem", pathlib.Path(server.root).read_text() + pathlib.Path(tenant).read_text())
        check = ("openssl", "verify", "-crl_check", "-CRLfile", path, "-CAfile", both)
        done = run(*check, shown.cert)
        assert "certificate revoked" in done.stdout + done.stderr, done.stderr


def claim_facts(server):
    """A new device's first day, with nothing but openssl and curl."""
    key, csr = str(server.folder / "new.key"), str(server.folder / "new.csr")

    def post(path, body, *more):
        return run(
            *("curl", "--silent", "--show-error", "--cacert", server.root, *more),
            *("--write-out", "%{stderr}%{http_code}", "-H", "content-type: application/json"),
            *("--data", json.dumps(body), f"https://{server.http}/provision/v1/{path}"),
        )

    def posted(path, body, *more):
        done = post(path, body, *more)
        assert done.stderr == "201", f"{done.stderr} {done.stdout}"
        return json.loads(done.stdout)

    with fact("claim: openssl's request and curl enrol a device that speaks MQTT by its own key"):
        claim = server.api("POST", "/claims", {"name": "batch-1", "kind": "probe", "uses_max": 2})
        bearer = ("-H", f"authorization: Bearer {claim['token']}")
        ran("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        ran("openssl", "req", "-new", "-key", key, "-subj", "/CN=whoever", "-out", csr)
        asked = {"serial": "SN-77", "csr": pathlib.Path(csr).read_text()}
        pending = posted("csr", asked, *bearer)
        assert pending["private_key"] is None and "CN whoever" in pending["dropped"], pending
        cert = server.keep("new.crt", pending["chain"])
        shown = Shown(cert, key)
        registration = {"ownership_token": pending["ownership_token"], "serial": "SN-77"}
        registered = posted("register", registration)
        assert registered["mqtts_port"] == server.port, registered
        by_mosquitto(server, shown, '{"temperature":33.5}')
        eventually("33.5", lambda: server.reading("sn-77", "temperature") == 33.5)
    with fact("claim: the same serial number and the same ownership token are refused"):
        assert post("csr", asked, *bearer).stderr == "409"
        assert post("register", registration).stderr == "410"
        by_curl(server, shown, '{"temperature":34.5}')
        eventually("34.5", lambda: server.reading("sn-77", "temperature") == 34.5)
    with fact("claim: the device renews by its certificate, and both open"):
        fresh = str(server.folder / "fresh.key")
        ran("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", fresh)
        ran("openssl", "req", "-new", "-key", fresh, "-subj", "/", "-out", csr)
        identity = ("--cert", cert, "--key", key)
        renewed = posted("renew", {"csr": pathlib.Path(csr).read_text()}, *identity)
        after = Shown(server.keep("fresh.crt", renewed["chain"]), fresh)
        for value, one in ((35.5, shown), (36.5, after)):
            by_mosquitto(server, one, json.dumps({"temperature": value}))
            eventually(f"{value}", lambda: server.reading("sn-77", "temperature") == value)


def facts():
    server = Secure()
    try:
        server.start()
        server.apply()
        server.add("probe-1")
        shown = server.certify("probe-1")
        client_facts(server, shown)
        openssl_facts(server, shown)
        revocation_facts(server, shown)
        claim_facts(server)
        with fact("the server with TLS stops in order"):
            code = server.stop()
            assert code == 0, f"exit code {code}"
    finally:
        server.remove()


if __name__ == "__main__":
    import verdicts

    facts()
    raise SystemExit(1 if verdicts.failed else 0)
