"""Notifications, received by programs of others: a mail server of aiosmtpd and a receiver of webhooks
whose check of signatures is written from the text of Standard Webhooks 1.0.

Held: mail and webhook say what happened, with the key as the message id and a signature for each
secret; who cannot be reached is tried again, is visible and holds up nobody; a killed sender loses
nothing; a storm becomes a digest that counts all; no redirect, no address of the own network.
"""

import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import logging
import os
import pathlib
import queue
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from aiosmtpd.controller import Controller

from verdicts import eventually, fact

TENANT = "ten_" + "1".rjust(26, "0")
DEVICE = "dev_" + "7".rjust(26, "0")
SECRETS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]
TOLERANCE_SECONDS = 300
# It tells of every handshake that was refused, which is what some facts ask for.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
OFFER_SECONDS_MAX = 0.2


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def notification(number, **changes):
    return {
        "key": {"source": "main", "output": {"fold": 2, "input": number, "n": 0}},
        "tenant": TENANT,
        "alarm": "alm_" + str(number).rjust(26, "0"),
        "device": DEVICE,
        "transition": "raised",
        "severity": "warning",
        "role": "operator",
        "title": f"Box {number} is too warm",
        "text": "Above 8 °C for 10 minutes.",
        "cause": {"reading": "temperature", "value": "9.4 °C"},
        "at": "2026-11-29T20:00:00Z",
        "link": f"http://127.0.0.1:7070/alarms/{number}",
    } | changes


class Mails:
    """Keeps what the mail server got; says no to some."""

    def __init__(self, **options):
        self.got = []
        self.answers = {}
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port(), **options)
        self.controller.start()
        self.port = self.controller.port

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.got.append((envelope.rcpt_tos, message, session.ssl is not None))
        return "250 OK"

    def stop(self):
        self.controller.stop()


class Hooks:
    """Keeps what was posted; answers what it is told to."""

    def __init__(self, port=0, context=None):
        self.got = []
        self.status = 204
        self.headers = {}
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hooks.got.append((dict(self.headers), body, hooks.status))
                self.send_response(hooks.status)
                for name, value in hooks.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self):
                hooks.got.append((dict(self.headers), b"", 200))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def bodies(self, status=204):
        return [json.loads(body) for _, body, answered in self.got if answered == status]


def verified(headers, body, secret):
    """As the standard says: https://www.standardwebhooks.com, "Signature scheme"."""
    fields = {name.lower(): value for name, value in headers.items()}
    identity, stamp = fields["webhook-id"], fields["webhook-timestamp"]
    assert "." not in identity, identity
    assert abs(time.time() - int(stamp)) < TOLERANCE_SECONDS, stamp
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identity}.{stamp}.".encode() + body
    mine = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    versions = [one.split(",", 1) for one in fields["webhook-signature"].split(" ")]
    return any(v == "v1" and hmac.compare_digest(mine, theirs) for v, theirs in versions)


class Sender:
    """The program under test."""

    def __init__(self, folder, people, mail, retry_ms=50, age_s=3600, ca=None):
        self.folder = pathlib.Path(folder)
        (self.folder / "people.toml").write_text(people)
        (self.folder / "mail.toml").write_text(mail)
        self.lines = queue.Queue()
        self.status = {}
        self.published = []
        self.offset = 0
        self.process = subprocess.Popen(
            [
                os.environ["NOTIFY_SEND"],
                str(self.folder / "state"),
                str(self.folder / "people.toml"),
                str(self.folder / "mail.toml"),
                str(retry_ms),
                str(age_s),
            ]
            + ([str(ca)] if ca else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self.read, daemon=True).start()
        eventually("the first status", lambda: self.status or self.process.poll() is not None)
        assert self.status, self.process.stderr.read()

    def read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "status" in said:
                self.status = said["status"]
            elif "published" in said:
                self.published.append((said["published"], json.loads(said["payload"])))
            else:
                self.lines.put(said["answer"])

    def order(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.lines.get(timeout=10)

    def offer(self, number, **changes):
        one = notification(number, **changes)
        start = time.monotonic()
        answer = self.order({"offer": {"offset": number, "notification": one}})
        took = time.monotonic() - start
        assert answer == "done", answer
        return took

    def route(self, channel, person="ada"):
        found = [
            route
            for route in self.status.get("routes", [])
            if (route["person"], route["channel"]) == (person, channel)
        ]
        return found[0] if found else None

    def told(self, channel, person="ada"):
        """How many arrived; none while the route was not heard of."""
        return (self.route(channel, person) or {"told": 0})["told"]

    def name(self, channel, person="ada"):
        return {"tenant": TENANT, "person": person, "channel": channel}

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(10)
        assert code == 0, self.process.stderr.read()

    def kill(self):
        self.process.kill()
        self.process.wait()


def mail_settings(port, encryption="none", more=""):
    return (
        f'server = "127.0.0.1"\nport = {port}\nencryption = "{encryption}"\n'
        f'from = "Coolbox <alarms@example.org>"\n{more}'
    )


def ada(channels, port=1, more="", secrets=SECRETS[:1], allow=True, url=None):
    listed = json.dumps([f"127.0.0.1:{port}"] if allow else [])
    return f"""
allow_hosts = {listed}
[person.ada]
name = "Ada Ω"
roles = ["operator"]
severity = "info"
timezone = "Europe/Berlin"
channels = {json.dumps(channels)}
mail = "ada@example.org"
mqtt = "alarms/ada"
webhook = {{ url = "{url or f"http://127.0.0.1:{port}/hook?a=b"}", secrets = {json.dumps(secrets)} }}
{more}
"""


@contextlib.contextmanager
def running(*arguments, **options):
    folder = tempfile.mkdtemp(prefix="iotbiz-notify-")
    sender = Sender(folder, *arguments, **options)
    try:
        yield sender
        sender.stop()
    finally:
        sender.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def mail_facts():
    mails = Mails()
    mails.answers = {"gone@example.org": "550 no such mailbox", "busy@example.org": "451 later"}
    try:
        with fact("notify: a mail says what, which value and where to look"):
            with running(ada(["mail"]), mail_settings(mails.port)) as sender:
                sender.offer(1)
                eventually("the mail", lambda: mails.got)
                to, mail, _ = mails.got[0]
                assert to == ["ada@example.org"], to
                assert mail["subject"] == "[warning] Box 1 is too warm", mail["subject"]
                assert mail["message-id"] == f"<main-2-1-0-ada-{TENANT}@example.org>", mail.items()
                assert mail["auto-submitted"] == "auto-generated"
                kinds = [part.get_content_type() for part in mail.iter_parts()]
                assert kinds == ["text/plain", "text/html"], kinds
                for part in mail.iter_parts():
                    text = part.get_content()
                    for word in ("temperature = 9.4 °C", "http://127.0.0.1:7070/alarms/1"):
                        assert word in text, text
                assert "29 November 2026, 21:00:00 (Europe/Berlin)" in text, text
                eventually("told", lambda: sender.told("mail") == 1)
        with fact("notify: a mailbox that is not there is given up, a busy one is tried again"):
            people = ada(["mail"]).replace("ada@example.org", "gone@example.org")
            people += ada(["mail"]).replace("ada", "bob").split("\n", 2)[2]
            people = people.replace("bob@example.org", "busy@example.org")
            with running(people, mail_settings(mails.port)) as sender:
                sender.offer(1)
                failed = lambda: (sender.route("mail") or {}).get("failed")
                eventually("given up", failed)
                assert "no such mailbox" in failed()[0]["trouble"]["why"], failed()
                busy = lambda: (sender.route("mail", "bob") or {}).get("last_error")
                eventually("an error", busy)
                assert sender.route("mail", "bob")["waiting"] == 1
                mails.answers.clear()
                eventually("told", lambda: sender.told("mail", "bob") == 1)
                order = {"route": sender.name("mail"), "message": failed()[0]["id"]}
                assert sender.order({"replay": order}) == "done"
                eventually("told by hand", lambda: sender.told("mail") == 1)
        with fact("notify: without STARTTLS nothing is sent where it is required"):
            before = len(mails.got)
            with running(ada(["mail"]), mail_settings(mails.port, "starttls")) as sender:
                sender.offer(1)
                eventually("an error", lambda: (sender.route("mail") or {}).get("last_error"))
                assert len(mails.got) == before, "it was sent in the clear"
    finally:
        mails.stop()


def openssl(folder, *arguments):
    command = ["openssl", *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)


def certificate(folder):
    """An authority, and a server's certificate from it."""
    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    openssl(folder, *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    leaf = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    by = ["-CA", "ca.pem", "-CAkey", "ca.key"]
    openssl(
        folder, *new, *by, *leaf, "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=server"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "ca.pem", context


def tls_facts():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="iotbiz-notify-"))
    pem, context = certificate(folder)
    mails = Mails(tls_context=context, require_starttls=True)
    hooks = Hooks(context=context)
    url = f"https://127.0.0.1:{hooks.port}/"
    people = ada(["mail", "webhook"], hooks.port, url=url)
    try:
        with fact("notify: mail by STARTTLS and a webhook by TLS reach whom we trust"):
            more = f"ca = '''{pem.read_text()}'''\n"
            settings = mail_settings(mails.port, "starttls", more)
            with running(people, settings, ca=pem) as sender:
                sender.offer(1)
                eventually("the mail", lambda: mails.got)
                assert mails.got[0][2], "not encrypted"
                eventually("the webhook", lambda: hooks.got)
        with fact("notify: and nobody else"):
            mails.got.clear()
            hooks.got.clear()
            with running(people, mail_settings(mails.port, "starttls")) as sender:
                sender.offer(1)
                for channel in ("mail", "webhook"):
                    eventually(
                        f"{channel} is refused",
                        lambda: (sender.route(channel) or {}).get("last_error"),
                    )
                    why = sender.route(channel)["last_error"]["why"]
                    assert "certificate" in why, why
                assert not mails.got and not hooks.got
    finally:
        mails.stop()
        hooks.stop()
        shutil.rmtree(folder, ignore_errors=True)


def webhook_facts():
    hooks = Hooks()
    mail = mail_settings(1)
    try:
        with fact("notify: a webhook is signed with each secret, and its id is the key"):
            people = ada(["webhook"], hooks.port, secrets=SECRETS)
            with running(people, mail) as sender:
                sender.offer(1)
                eventually("the webhook", lambda: hooks.got)
                headers, body, _ = hooks.got[0]
                for secret in SECRETS:
                    assert verified(headers, body, secret), headers
                assert not verified(headers, body + b" ", SECRETS[0])
                other = "whsec_" + base64.b64encode(bytes(32)).decode()
                assert not verified(headers, body, other)
                assert headers["webhook-id"] == f"main-2-1-0-ada-{TENANT}", headers
                said = json.loads(body)
                assert said["type"] == "iotbiz.alarm.raised.v1", said
                assert said["data"]["cause"]["value"] == "9.4 °C", said
        with fact("notify: a receiver that fails is tried again, later each time, and is visible"):
            hooks.got.clear()
            hooks.status = 500
            with running(ada(["webhook"], hooks.port), mail) as sender:
                sender.offer(1)
                eventually("three tries", lambda: len(hooks.got) >= 3)
                route = sender.route("webhook")
                assert "500" in route["last_error"]["why"], route
                assert route["waiting"] == 1 and route["told"] == 0, route
                hooks.status = 204
                eventually("told", lambda: sender.told("webhook") == 1)
                ids = {headers["webhook-id"] for headers, _, _ in hooks.got}
                assert len(ids) == 1, f"a retry got another id: {ids}"
                assert sender.route("webhook")["last_success"]
        with fact("notify: a redirect is not followed"):
            hooks.got.clear()
            hooks.status, hooks.headers = 302, {"location": f"http://127.0.0.1:{hooks.port}/two"}
            with running(ada(["webhook"], hooks.port), mail) as sender:
                sender.offer(1)
                eventually("an error", lambda: (sender.route("webhook") or {}).get("last_error"))
                assert "redirect" in sender.route("webhook")["last_error"]["why"]
                assert all(body for _, body, _ in hooks.got), "it was followed"
        with fact("notify: 410 disables, enabling and replaying by hand brings it back"):
            hooks.got.clear()
            hooks.status, hooks.headers = 410, {}
            with running(ada(["webhook"], hooks.port), mail) as sender:
                sender.offer(1)
                disabled = lambda: (sender.route("webhook") or {}).get("disabled")
                eventually("disabled", disabled)
                sender.offer(2)
                eventually("two failed", lambda: len(sender.route("webhook")["failed"]) == 2)
                assert len(hooks.got) == 1, "it was asked again after 410"
                hooks.status = 204
                assert sender.order({"enable": {"route": sender.name("webhook")}}) == "done"
                for failed in list(sender.route("webhook")["failed"]):
                    order = {"route": sender.name("webhook"), "message": failed["id"]}
                    assert sender.order({"replay": order}) == "done"
                eventually("told", lambda: sender.told("webhook") == 2)
                unknown = {"route": sender.name("webhook"), "message": "nothing"}
                assert "there is no message" in sender.order({"replay": unknown})
        with fact("notify: a storm becomes a digest that counts all"):
            hooks.got.clear()
            storm = 'digest = { burst = 3, window = "2 s" }'
            with running(ada(["webhook"], hooks.port, storm), mail) as sender:
                for number in range(1, 101):
                    sender.offer(number)
                eventually("all told", lambda: sender.told("webhook") == 100, 10)
                digests = [b for b in hooks.bodies() if b["type"] == "iotbiz.alarm.digest.v1"]
                singles = len(hooks.got) - len(digests)
                counted = sum(digest["data"]["count"] for digest in digests)
                assert singles + counted == 100, f"{singles} and {counted}"
                assert len(hooks.got) <= 8, f"{len(hooks.got)} messages"
                assert all(len(digest["data"]["listed"]) <= 50 for digest in digests)
        with fact("notify: MQTT gets what the webhook gets, below the tenant's own topic"):
            with running(ada(["mqtt"]), mail) as sender:
                sender.offer(1)
                eventually("published", lambda: sender.published)
                topic, payload = sender.published[0]
                assert topic == f"t/{TENANT}/notify/alarms/ada", topic
                assert payload["data"]["title"] == "Box 1 is too warm", payload
    finally:
        hooks.stop()


def guard_facts():
    hooks = Hooks()
    mail = mail_settings(1)
    try:
        for host in ("127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"):
            with fact(f"notify: {host} is refused unless it is listed"):
                url = f"https://{host}:{hooks.port}/"
                people = ada(["webhook"], hooks.port, allow=False, url=url)
                with running(people, mail) as sender:
                    sender.offer(1)
                    error = lambda: (sender.route("webhook") or {}).get("last_error")
                    eventually("an error", error)
                    assert "loopback" in error()["why"], error()
        with fact("notify: the metadata service is refused even when it is listed"):
            url = "http://169.254.169.254/latest/meta-data/"
            people = ada(["webhook"], hooks.port, url=url)
            people = re.sub(r"allow_hosts = .*", 'allow_hosts = ["169.254.169.254"]', people)
            with running(people, mail) as sender:
                sender.offer(1)
                error = lambda: (sender.route("webhook") or {}).get("last_error")
                eventually("an error", error)
                assert "metadata" in error()["why"], error()
        assert not hooks.got, "something arrived"
    finally:
        hooks.stop()


def keys(hooks):
    """What was told, alone or in digests."""
    told = [body["data"] for body in hooks.bodies()]
    return [one["key"] for data in told for one in data.get("listed", [data])]


def waits(route):
    return route["waiting"] + route["held"]


def reach_facts():
    mail = mail_settings(1)
    with fact("notify: who cannot be reached holds up nobody, and gets it all later"):
        silent = socket.create_server(("127.0.0.1", 0))  # takes connections, answers never
        hooks = Hooks()
        port = free_port()
        people = ada(["webhook"], port)
        people += ada(["webhook"], hooks.port).replace("ada", "bob").split("\n", 2)[2]
        stuck = silent.getsockname()[1]
        people += ada(["webhook"], stuck).replace("ada", "eve").split("\n", 2)[2]
        hosts = [f"127.0.0.1:{p}" for p in (port, hooks.port, stuck)]
        people = re.sub(r"allow_hosts = .*", f"allow_hosts = {json.dumps(hosts)}", people)
        late = None
        try:
            with running(people, mail) as sender:
                slowest = max(sender.offer(number) for number in range(1, 201))
                assert slowest < OFFER_SECONDS_MAX, f"an offer took {slowest:.3f} s"
                eventually("bob is told", lambda: sender.told("webhook", "bob") >= 5)
                route = sender.route("webhook")
                assert "refused" in route["last_error"]["why"], route
                eventually("all wait", lambda: waits(sender.route("webhook")) == 200)
                late = Hooks(port)
                eventually("some arrive", lambda: sender.told("webhook") >= 5)
                # A message that waits may be a digest: it tells more than it counts here.
                assert not sender.route("webhook")["failed"]
        finally:
            hooks.stop()
            silent.close()
            if late:
                late.stop()
    with fact("notify: what is too old is given up, visibly, and can be replayed"):
        port = free_port()
        with running(ada(["webhook"], port), mail, age_s=1) as sender:
            sender.offer(1)
            failed = lambda: (sender.route("webhook") or {}).get("failed")
            eventually("given up", failed, 10)
            assert "given up after" in failed()[0]["trouble"]["why"], failed()
            hooks = Hooks(port)
            order = {"route": sender.name("webhook"), "message": failed()[0]["id"]}
            assert sender.order({"replay": order}) == "done"
            eventually("told", lambda: sender.told("webhook") == 1)
            hooks.stop()
    with fact("notify: ten kills lose nothing; what comes twice has the same id"):
        folder = tempfile.mkdtemp(prefix="iotbiz-notify-")
        hooks = Hooks()
        people = ada(["webhook"], hooks.port, 'digest = { burst = 1000, window = "1 s" }')
        offered = 0
        try:
            for round_ in range(10):
                sender = Sender(folder, people, mail)
                # As a reader of the log does: go on after what is durable.
                offered = sender.status["durable"].get("main", 0)
                for number in range(offered + 1, (round_ + 1) * 20 + 1):
                    sender.offer(number)
                if round_ % 2:
                    time.sleep(0.03 * round_)  # the kill hits another moment each time
                sender.kill()
            sender = Sender(folder, people, mail)
            for number in range(sender.status["durable"].get("main", 0) + 1, 201):
                sender.offer(number)
            wanted = {f"main-2-{number}-0" for number in range(1, 201)}
            eventually("all 200", lambda: set(keys(hooks)) == wanted, 10)
            twice = len(keys(hooks)) - 200
            print(f"     {twice} of 200 came twice", flush=True)
            bodies = {}
            for headers, body, _ in hooks.got:
                known = bodies.setdefault(headers["webhook-id"], body)
                assert known == body, "one id, two contents"
            sender.stop()
        finally:
            hooks.stop()
            shutil.rmtree(folder, ignore_errors=True)


def facts():
    mail_facts()
    tls_facts()
    webhook_facts()
    guard_facts()
    reach_facts()


if __name__ == "__main__":
    facts()
