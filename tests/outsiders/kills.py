"""The server is killed again and again while devices publish; then its log is read.

Held afterwards: every acknowledged message is in the log, nothing is in the log that was not sent,
and what a device sent first stands before what it sent later.
"""

import collections
import json
import queue
import random
import threading
import time

import paho.mqtt.client as paho

import logfile
from server import Server
from verdicts import eventually, fact

DEVICES = 6
IN_FLIGHT_MAX = 50
FIRST_TS = 1_700_000_000_000
UP_SECONDS = (0.05, 1.6)


class Publisher:
    """A device that counts: QoS 1, sends again after a reconnect what was not acknowledged."""

    def __init__(self, server, login, number):
        self.number = number
        self.user = login.user
        self.under_way = {}
        self.answered = queue.SimpleQueue()
        self.sent = 0
        self.acked = set()
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"counter-{number}")
        client.username_pw_set(login.user, login.password)
        client.reconnect_delay_set(1, 1)
        client.max_inflight_messages_set(IN_FLIGHT_MAX)
        # The library holds a lock of its own while it calls, so only note what is answered.
        client.on_publish = lambda c, u, mid, code, p: self.answered.put(mid)
        client.connect_async(server.host, server.port, keepalive=5)
        client.loop_start()
        self.client = client
        self.stopping = False
        self.thread = threading.Thread(target=self._publish)
        self.thread.start()

    def payload(self, count):
        """The message with this number; the time it tells carries the number."""
        return json.dumps({"ts": FIRST_TS + count, "values": {"temperature": self.number}})

    def _publish(self):
        while not self.stopping:
            room = len(self.under_way) < IN_FLIGHT_MAX
            if room:
                mid = self.client.publish("me/telemetry", self.payload(self.sent), qos=1).mid
                self.under_way[mid] = self.sent
                self.sent += 1
            self._take_answers(wait=0 if room else 0.01)

    def _take_answers(self, wait):
        """Notes what was acknowledged; waits for the first when there is nothing else to do."""
        try:
            while True:
                mid = self.answered.get(block=wait > 0, timeout=wait or None)
                self.acked.add(self.under_way.pop(mid))
                wait = 0
        except queue.Empty:
            pass

    def stop(self, seconds):
        """No new messages; waits until everything sent is acknowledged."""
        self.stopping = True
        self.thread.join()
        end = time.monotonic() + seconds
        while self.under_way and time.monotonic() < end:
            self._take_answers(wait=0.02)
        self.client.disconnect()
        self.client.loop_stop()


def facts(kills, seed):
    random_seconds = random.Random(seed)
    server = Server()
    publishers = []
    try:
        server.start()
        server.apply()
        publishers = [
            Publisher(server, server.add(f"counter-{number}"), number)
            for number in range(DEVICES)
        ]
        slowest = 0.0
        for _ in range(kills):
            time.sleep(random_seconds.uniform(*UP_SECONDS))
            server.kill()
            start = time.monotonic()
            server.start()
            slowest = max(slowest, time.monotonic() - start)
        for publisher in publishers:
            publisher.stop(seconds=20)
        with fact(f"J1: {kills} kills: the twins are those of the last messages"):
            for publisher in publishers:
                eventually(
                    f"temperature {publisher.number} of {publisher.user}",
                    lambda: server.reading(publisher.user, "temperature") == publisher.number,
                )
        assert server.stop() == 0, "the server did not stop in order"
        judge(kills, publishers, server)
        sent = sum(publisher.sent for publisher in publishers)
        acked = sum(len(publisher.acked) for publisher in publishers)
        print(f"     {sent} sent, {acked} acknowledged, slowest restart {slowest:.2f} s (seed {seed})")
    finally:
        for publisher in publishers:
            publisher.stopping = True
            publisher.client.loop_stop()
        server.remove()


def judge(kills, publishers, server):
    with fact(f"J1: {kills} kills: every byte of the log is whole"):
        server.fsck()
    found = collections.defaultdict(list)
    for payload in logfile.payloads(f"{server.data}/log"):
        said = json.loads(payload)
        found[said["values"]["temperature"]].append((said["ts"] - FIRST_TS, payload.decode()))
    with fact(f"J1: {kills} kills: every acknowledged message is in the log"):
        for publisher in publishers:
            missing = publisher.acked - {count for count, _ in found[publisher.number]}
            assert not missing, f"{publisher.user} lost {len(missing)}, first {min(missing)}"
            assert publisher.acked, f"{publisher.user} was never acknowledged: nothing was tried"
    with fact(f"J1: {kills} kills: nothing is in the log that was not sent"):
        known = {publisher.number: publisher for publisher in publishers}
        for number, messages in found.items():
            assert number in known, f"device {number} is in the log, but never published"
            for count, text in messages:
                publisher = known[number]
                assert 0 <= count < publisher.sent, f"device {number}: message {count}"
                assert text == publisher.payload(count), f"device {number}: {text}"
    with fact(f"J1: {kills} kills: the log keeps each device's order"):
        for number, messages in found.items():
            first_seen = list(dict.fromkeys(count for count, _ in messages))
            assert first_seen == sorted(first_seen), f"device {number}: a later message stands first"
