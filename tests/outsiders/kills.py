"""The server is killed again and again while devices publish; then its log is read.

Held afterwards: every acknowledged message is in the log, nothing is in the log that was not sent,
and what a device sent first stands before what it sent later.
"""

import json
import random
import threading
import time

import paho.mqtt.client as paho

from server import Server
from verdicts import fact

DEVICES = 6
IN_FLIGHT_MAX = 50


class Publisher:
    """A device that counts: QoS 1, sends again after a reconnect what was not acknowledged."""

    def __init__(self, server, login, number):
        self.user = login.user
        self.lock = threading.Lock()
        self.numbers = {}
        self.sent = 0
        self.acked = set()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"counter-{number}")
        client.username_pw_set(login.user, login.password)
        client.reconnect_delay_set(1, 1)
        client.max_inflight_messages_set(IN_FLIGHT_MAX)
        client.on_publish = self._acked
        client.connect_async(server.host, server.port, keepalive=5)
        client.loop_start()
        self.client = client
        self.stopping = False
        self.thread = threading.Thread(target=self._publish)
        self.thread.start()

    def _acked(self, client, userdata, mid, code, properties):
        with self.lock:
            self.acked.add(self.numbers.pop(mid))

    def _publish(self):
        while not self.stopping:
            with self.lock:
                room = len(self.numbers) < IN_FLIGHT_MAX
                if room:
                    body = json.dumps({"ts": 1_700_000_000_000 + self.sent, "values": {}})
                    # The lock is held so that the acknowledgement finds its number.
                    mid = self.client.publish("me/telemetry", body, qos=1).mid
                    self.numbers[mid] = self.sent
                    self.sent += 1
            time.sleep(0 if room else 0.002)

    def stop(self, seconds):
        """No new messages; waits until everything sent is acknowledged."""
        self.stopping = True
        self.thread.join()
        end = time.monotonic() + seconds
        while self.numbers and time.monotonic() < end:
            time.sleep(0.02)
        self.client.disconnect()
        self.client.loop_stop()


def logged(server):
    """The numbers in the log by device, in the order of the log."""
    found = {}
    for line in server.command("tail", "--from", "0", "--no-follow", "--json").splitlines():
        frame = json.loads(line)
        if frame.get("kind") == "raw" and frame.get("topic", "").endswith("telemetry"):
            number = json.loads(frame["text"])["ts"] - 1_700_000_000_000
            found.setdefault(frame["device"], []).append(number)
    return found


def facts(kills, seed):
    random_seconds = random.Random(seed)
    server = Server()
    try:
        server.start()
        server.apply()
        publishers = [
            Publisher(server, server.add(f"counter-{number}"), number)
            for number in range(DEVICES)
        ]
        slowest = 0.0
        for _ in range(kills):
            time.sleep(random_seconds.uniform(0.05, 1.6))
            server.kill()
            start = time.monotonic()
            server.start()
            slowest = max(slowest, time.monotonic() - start)
        for publisher in publishers:
            publisher.stop(seconds=20)
        time.sleep(0.2)
        found = logged(server)
        judge(kills, publishers, found)
        sent = sum(publisher.sent for publisher in publishers)
        acked = sum(len(publisher.acked) for publisher in publishers)
        print(f"     {sent} sent, {acked} acknowledged, slowest restart {slowest:.2f} s (seed {seed})")
    finally:
        server.remove()


def judge(kills, publishers, found):
    with fact(f"{kills} kills: every acknowledged message is in the log"):
        for publisher in publishers:
            missing = publisher.acked - set(found.get(publisher.user, []))
            assert not missing, f"{publisher.user} lost {len(missing)}, first {min(missing)}"
            assert publisher.acked, f"{publisher.user} was never acknowledged: nothing was tried"
    with fact(f"{kills} kills: nothing is in the log that was not sent"):
        known = {publisher.user: publisher.sent for publisher in publishers}
        for user, numbers in found.items():
            assert user in known, f"{user} is in the log, but never published"
            assert max(numbers) < known[user] and min(numbers) >= 0, f"{user}: {max(numbers)}"
    with fact(f"{kills} kills: the log keeps each device's order"):
        for user, numbers in found.items():
            first_seen = list(dict.fromkeys(numbers))
            assert first_seen == sorted(first_seen), f"{user}: a later message stands first"
