"""Strangers, floods, small machines and stops under load, against the server as it is shipped.

Held: neighbours of an attack are answered as before it, a server that is short of descriptors or
memory sheds load and stays up, a fleet is back within a minute after a restart, and a stop under
load loses nothing that was acknowledged. Names begin with the ids of the threat list.

The clients here speak MQTT by the byte: thousands of them must fit into one process.
"""

import asyncio
import contextlib
import json
import random
import resource
import struct
import time

import logfile
from server import Refused, Server
from verdicts import fact

CONNECTIONS = 10_000
CONNECTIONS_A_DEVICE = 8
BACK_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10
DRIPPING = 5_000
GREETING_SECONDS_MAX = 10
GOOD_SECONDS_MAX = 0.1
FEW_DESCRIPTORS = 1_024
# An allocation that fails ends the process, as in every Rust program, and the supervisor starts
# another: what counts is that the limits keep a flood below such a cap.
LITTLE_MEMORY = 256 * 1024 * 1024
RETURNING = 20
BUFFERED = 500
SHUTTING_DOWN = 0x8B


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    """A packet with its length as a variable byte integer (MQTT 5, 1.5.5)."""
    length, left = b"", len(body)
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | 128 if left else digit])
        if not left:
            return bytes([first]) + length + body


def connect_packet(login, client_id, version=4, keep_alive=0):
    properties = b"\0" if version == 5 else b""
    head = text("MQTT") + bytes([version, 0xC2]) + struct.pack(">H", keep_alive) + properties
    return packet(0x10, head + text(client_id) + text(login.user) + text(login.password))


def publish_packet(topic, count, payload, version=4):
    properties = b"\0" if version == 5 else b""
    return packet(0x32, text(topic) + struct.pack(">H", count) + properties + payload)


async def read_packet(reader):
    first = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 127) << shift
        shift += 7
        if not digit & 128:
            return first, await reader.readexactly(length)


class Wire:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, server, source=None):
        local = (source, 0) if source else None
        return cls(*await asyncio.open_connection(server.host, server.port, local_addr=local))

    async def login(self, login, client_id, version=4):
        self.writer.write(connect_packet(login, client_id, version))
        first, body = await read_packet(self.reader)
        assert first == 0x20, f"packet {first:#x} instead of CONNACK"
        return body[1]

    async def publish(self, count, payload, version=4):
        """QoS 1, and the PUBACK."""
        self.writer.write(publish_packet("me/telemetry", count, payload, version))
        first, body = await read_packet(self.reader)
        assert first == 0x40, f"packet {first:#x} instead of PUBACK"
        return struct.unpack(">H", body[:2])[0]

    async def closed(self):
        """Reads to the end."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(4096):
                pass

    def close(self):
        self.writer.close()


GONE = (ConnectionError, asyncio.IncompleteReadError)


async def enter(server, login, client_id):
    """A connection, tried again with growing pauses and full jitter as a device should."""
    pause = 0.2
    while True:
        wire = None
        try:
            wire = await Wire.open(server)
            if await wire.login(login, client_id) == 0:
                return wire
        except GONE:
            pass
        if wire:
            wire.close()
        await asyncio.sleep(random.uniform(0, pause))
        pause = min(pause * 2, 5)


async def good_round_trips(wires, seconds):
    """How long the answers took, of devices that send once a second between them."""
    took = []
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        for wire in wires:
            count = count % 60_000 + 1
            begun = time.monotonic()
            await wire.publish(count, b'{"temperature":4}')
            took.append(time.monotonic() - begun)
            await asyncio.sleep(0.005)
    return sorted(took)


@contextlib.contextmanager
def limited(what, soft):
    """A server started here inherits the limit; this process gets its own back."""
    before = resource.getrlimit(what)
    resource.setrlimit(what, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def descriptors():
    """As many descriptors as this system gives."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def fleet(server, count):
    return [server.add(f"fleet-{number}") for number in range(count)]


@contextlib.contextmanager
def running(**limits):
    server = Server()
    try:
        with contextlib.ExitStack() as stack:
            for what, soft in limits.items():
                stack.enter_context(limited(getattr(resource, what), soft))
            server.start()
        server.apply()
        yield server
    finally:
        server.remove()


def slowloris():
    with running() as server:
        logins = fleet(server, 20)

        async def attack():
            good = [await enter(server, login, "good") for login in logins]
            begun = time.monotonic()
            slow = []
            for number in range(DRIPPING):
                wire = await Wire.open(server, f"127.0.0.{2 + number % 4}")
                wire.writer.write(b"\x10\x80\x20\x00"[: number % 5])
                slow.append(wire)
            ends = asyncio.gather(*(wire.closed() for wire in slow))
            took = await good_round_trips(good, 5)
            await asyncio.wait_for(ends, GREETING_SECONDS_MAX * 2)
            return time.monotonic() - begun, took

        with fact(f"B2: {DRIPPING} connections that drip are closed, neighbours feel nothing"):
            seconds, took = asyncio.run(attack())
            # The first of them were opened before the last.
            assert seconds < GREETING_SECONDS_MAX * 2, f"{seconds:.1f} s"
            slowest = took[len(took) * 99 // 100]
            assert slowest < GOOD_SECONDS_MAX, f"99 of 100 answers within {slowest * 1000:.0f} ms"


def mass_reconnect():
    most = min(CONNECTIONS, (descriptors() - 200) * 2 // 3)
    with running() as server:
        logins = fleet(server, most // CONNECTIONS_A_DEVICE)
        names = [(login, f"c{n}") for login in logins for n in range(CONNECTIONS_A_DEVICE)]

        async def all_in():
            begun = time.monotonic()
            wires = await asyncio.gather(*(enter(server, login, name) for login, name in names))
            return wires, time.monotonic() - begun

        async def come_back():
            first, _ = await all_in()
            server.kill()
            for wire in first:
                wire.close()
            # Each asks again from now on, whether the server is there yet or not.
            again = asyncio.create_task(all_in())
            await asyncio.to_thread(server.start)
            wires, seconds = await again
            count = await wires[0].publish(1, b'{"temperature":8}')
            for wire in wires:
                wire.close()
            return seconds, count

        with fact(f"J8: {len(names)} connections of one address are back after a restart"):
            seconds, count = asyncio.run(come_back())
            assert seconds < BACK_SECONDS_MAX, f"{seconds:.1f} s"
            assert count == 1
            print(f"     {len(names)} connections back in {seconds:.1f} s")


async def load(server, login, number, sent, acked):
    """Publishes without pause, at most 100 on their way, until the server says goodbye."""
    wire = await Wire.open(server)
    assert await wire.login(login, "load", version=5) == 0
    window = asyncio.Semaphore(100)

    async def write():
        while True:
            await window.acquire()
            sent[number] += 1
            body = {"ts": 1_700_000_000_000 + sent[number], "values": {"temperature": number}}
            data = json.dumps(body).encode()
            wire.writer.write(publish_packet("me/telemetry", sent[number] % 65_535 + 1, data, 5))
            await wire.writer.drain()

    writer = asyncio.create_task(write())
    reason = None
    try:
        while True:
            first, body = await read_packet(wire.reader)
            if first == 0x40:
                # Answers come in the order of the messages.
                acked[number] += 1
                window.release()
            elif first == 0xE0:
                reason = body[0]
    except GONE:
        pass
    writer.cancel()
    wire.close()
    return reason


def stop_under_load():
    with running() as server:
        logins = fleet(server, 8)
        sent, acked = [0] * len(logins), [0] * len(logins)

        async def work():
            tasks = [
                asyncio.create_task(load(server, login, number, sent, acked))
                for number, login in enumerate(logins)
            ]
            await asyncio.sleep(2)
            begun = time.monotonic()
            server.process.terminate()
            code = await asyncio.to_thread(server.process.wait, STOP_SECONDS_MAX * 2)
            seconds = time.monotonic() - begun
            return code, seconds, await asyncio.gather(*tasks)

        with fact("J11: a server under load stops in time and says so to each MQTT 5 client"):
            code, seconds, reasons = asyncio.run(work())
            assert code == 0, f"exit code {code}"
            assert seconds < STOP_SECONDS_MAX, f"{seconds:.1f} s"
            assert set(reasons) == {SHUTTING_DOWN}, f"goodbyes: {reasons}"
        with fact("J11: nothing that was acknowledged before the stop is lost"):
            found = [0] * len(logins)
            for payload in logfile.payloads(f"{server.data}/log"):
                found[json.loads(payload)["values"]["temperature"]] += 1
            assert min(acked) > 0, "nothing was acknowledged: nothing was tried"
            for number, count in enumerate(acked):
                assert found[number] >= count, f"device {number}: {found[number]} of {count}"
            print(f"     {sum(sent)} sent, {sum(acked)} acknowledged, {sum(found)} in the log")


async def crowd(server, logins, count):
    """Tries to hold so many connections; gives those that were let in."""
    wires = []
    for number in range(count):
        wire = await Wire.open(server)
        try:
            name = f"crowd-{number // len(logins)}"
            if await wire.login(logins[number % len(logins)], name) == 0:
                wires.append(wire)
                continue
        except GONE:
            pass
        wire.close()
    return wires


def few_descriptors():
    with running(RLIMIT_NOFILE=FEW_DESCRIPTORS) as server:
        descriptors()
        logins = fleet(server, 200)

        async def work():
            good = await enter(server, logins[0], "good")
            wires = await crowd(server, logins, FEW_DESCRIPTORS + 200)
            await good.publish(1, b'{"temperature":4}')
            status = await asyncio.to_thread(server.api, "GET", "/status")
            for wire in wires:
                wire.close()
            later = await asyncio.wait_for(enter(server, logins[1], "later"), 10)
            await later.publish(1, b'{"temperature":5}')
            return len(wires), status

        with fact(f"J7: with {FEW_DESCRIPTORS} descriptors it sheds load and stays up"):
            count, status = asyncio.run(work())
            assert FEW_DESCRIPTORS // 2 < count < FEW_DESCRIPTORS, f"{count} were let in"
            assert status["tenant"]["id"]
            assert server.stop() == 0, "the server did not stop in order"


def little_memory():
    with running(RLIMIT_DATA=LITTLE_MEMORY) as server:
        descriptors()
        logins = fleet(server, 200)

        async def flood(wire):
            first = 1_700_000_000_000
            for count in range(1, 100):
                first += BUFFERED
                said = [{"ts": first + n, "values": {"temperature": n}} for n in range(BUFFERED)]
                body = json.dumps(said).encode()
                wire.writer.write(publish_packet("me/telemetry", count, body))
            with contextlib.suppress(*GONE):
                await asyncio.wait_for(wire.writer.drain(), 2)

        async def work():
            good = await enter(server, logins[0], "good")
            wires = await crowd(server, logins[1:], 1_000)
            # Some of them came back with a full buffer.
            await asyncio.gather(
                *(flood(wire) for wire in wires[:RETURNING]), return_exceptions=True
            )
            took = await good_round_trips([good], 2)
            for wire in wires:
                wire.close()
            return len(wires), took

        mib = LITTLE_MEMORY // 1024 // 1024
        with fact(f"J7: with {mib} MiB of data it holds 1,000 connections, takes a flood and stays up"):
            count, took = asyncio.run(work())
            assert count == 1_000, f"{count} were let in"
            assert took, "nothing was answered"
            assert server.process.poll() is None, "the server ended"
            assert server.api("GET", "/status")["tenant"]["id"]


def guessing():
    with running() as server:
        login = server.add("guessed")

        def post(token):
            try:
                server.ingest(token, '{"temperature":1}')
            except Refused as refused:
                return refused.status
            return 200

        with fact("C13: who guesses tokens is told to wait"):
            statuses = [post(f"guess-number-{n}") for n in range(1_100)]
            assert statuses[0] == 401 and statuses[-1] == 429, f"{statuses[0]}, {statuses[-1]}"

        async def from_elsewhere():
            wire = await Wire.open(server, "127.0.0.9")
            return await wire.login(login, "c")

        with fact("C13: the device itself comes in from its own address meanwhile"):
            assert asyncio.run(from_elsewhere()) == 0


def facts():
    descriptors()
    slowloris()
    mass_reconnect()
    stop_under_load()
    few_descriptors()
    little_memory()
    guessing()


if __name__ == "__main__":
    import sys

    import verdicts

    facts()
    sys.exit(1 if verdicts.failed else 0)
