"""From a reading to a person: how soon a webhook hears of an alarm, and that each is told once.

Held: every alarm that was raised is told, none twice under another id, and the time from the request
that carries the reading to the whole request at the webhook is below the target. Run alone it prints
the figures: `IOTBIZ=target/debug/iotbiz python3 alarms.py 300 10`.
"""

import http.server
import json
import pathlib
import sys
import tempfile
import threading
import time

from server import Server
from verdicts import eventually, fact

TARGET_SECONDS = 0.2
ROUNDS = 100
PER_SECOND = 10
DEVICES = 10
# Of ten boxes one is warm at a time; each warms once in a round of ten.
BLUEPRINT = """
blueprint = 1
venture = "coolbox"
title = "Coolbox"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80 }
[alarm.warm]
device = "box"
when = "temperature > 8 °C"
severity = "warning"
notify = "operator"
"""


class Receiver:
    """A webhook that notes when the whole request was there."""

    def __init__(self):
        self.raised = {}
        self.ids = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                at = time.monotonic()
                if body["type"] == "iotbiz.alarm.raised.v1":
                    receiver.raised.setdefault(body["data"]["device"], []).append(at)
                    receiver.ids.append(self.headers["webhook-id"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def count(self):
        return sum(len(times) for times in self.raised.values())


def prepare(server, receiver):
    """Puts the rule in force, adds boxes and somebody who is told; gives ids and tokens."""
    server.api("PUT", "/ventures/coolbox/blueprint", {"text": BLUEPRINT})
    boxes = []
    for number in range(DEVICES):
        added = server.api("POST", "/devices", {"name": f"box-{number}", "kind": "box"})
        boxes.append((added["device"]["id"], added["credential"]["token"]))
    server.api("POST", "/people", {"name": "ada", "role": "operator"})
    server.api("PATCH", "/people/ada/notify", {
        "roles": ["operator"],
        "channels": ["webhook"],
        "webhook": f"http://127.0.0.1:{receiver.port}/",
        "digest": {"burst": 1000, "window": "1 s"},
    })
    return boxes


def measure(rounds, per_second):
    """Warms one box after the other; gives seconds from the request to the webhook, sorted."""
    receiver = Receiver()
    settings = pathlib.Path(tempfile.mkdtemp(prefix="iotbiz-outsiders-"), "iotbiz.toml")
    settings.write_text(f'[notify]\nallow_hosts = ["127.0.0.1:{receiver.port}"]\n')
    server = Server().start(["--config", str(settings)])
    try:
        boxes = prepare(server, receiver)
        sent = {device: [] for device, _ in boxes}
        begin = time.monotonic()
        for number in range(rounds):
            time.sleep(max(0.0, begin + number / per_second - time.monotonic()))
            device, token = boxes[number % DEVICES]
            sent[device].append(time.monotonic())
            server.ingest(token, '{"temperature": 9.5}')
            _, other = boxes[(number + DEVICES // 2) % DEVICES]
            server.ingest(other, '{"temperature": 4.0}')
        eventually("every alarm told", lambda: receiver.count >= rounds, seconds=30)
        took = [
            heard - said
            for device, times in sent.items()
            for said, heard in zip(times, receiver.raised[device], strict=True)
        ]
        return sorted(took), receiver.ids
    finally:
        server.remove()


def facts():
    took, ids = measure(ROUNDS, PER_SECOND)
    with fact("alarms: each that was raised is told once to a webhook"):
        assert len(ids) == len(set(ids)) == ROUNDS, f"{len(ids)} messages, {len(set(ids))} ids"
    with fact(f"alarms: from the reading to the webhook in less than {TARGET_SECONDS} s, 99 of 100"):
        late = took[int(len(took) * 0.99) - 1]
        assert late < TARGET_SECONDS, f"{late * 1000:.0f} ms"


if __name__ == "__main__":
    rounds, per_second = (int(word) for word in (*sys.argv[1:], ROUNDS, PER_SECOND)[:2])
    took, ids = measure(rounds, per_second)
    at = lambda share: f"{took[max(0, int(len(took) * share) - 1)] * 1000:.1f} ms"
    print(f"{len(ids)} alarms, {len(set(ids))} ids; p50 {at(0.5)}, p99 {at(0.99)}, max {at(1)}")
