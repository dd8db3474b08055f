"""A disk that is really full: the server's data folder lies on a small tmpfs, which is filled while
devices publish, and emptied again.

Held: devices wait and none is told that something is kept which is not; the alarm of the server is
raised and told; reads go on; a kill on the full disk harms nothing; when there is room again everything
goes on by itself, and every acknowledged message is in the log and in history.

The tmpfs is mounted in a mount namespace of its own (and a user namespace, unless this is root), so it
goes away with the processes. Where the machine allows none, that is said and nothing is claimed.
"""

import collections
import csv
import datetime
import http.server
import io
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import logfile
from kills import FIRST_TS, Publisher
from server import Refused, Server
from verdicts import eventually, fact
import verdicts

DISK_BYTES = 96 << 20
DEVICES = 4
SNAPSHOT_SECONDS = 2
FULL_SECONDS_MAX = 120
RESUME_SECONDS_MAX = 90
# Longer than two snapshots are due and one more is tried.
STAY_SECONDS = 3 * SNAPSHOT_SECONDS


def facts():
    """Runs this file in a namespace with the small disk; its lines count."""
    namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    folder = tempfile.mkdtemp(prefix="iotbiz-full-")
    mount = f"mount -t tmpfs -o size={DISK_BYTES} tmpfs {folder}"
    try:
        refused = refusal([*namespace, "sh", "-c", mount])
        if refused:
            print(f"     full disk: not tried: {refused}", flush=True)
            return
        inside = f'{mount} && exec "$0" "$1" {folder}'
        done = subprocess.run([*namespace, "sh", "-c", inside, sys.executable, __file__], timeout=900)
        verdicts.failed += done.returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refusal(command):
    """Why this machine mounts nothing for us, if it does not."""
    try:
        tried = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "there is no unshare"
    return "" if tried.returncode == 0 else tried.stderr.strip() or "the mount is refused"


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes every webhook."""

    def do_POST(self):
        length = int(self.headers["content-length"])
        self.server.got.put(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def receiver():
    hooks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    hooks.got = queue.SimpleQueue()
    threading.Thread(target=hooks.serve_forever, daemon=True).start()
    return hooks


def told(hooks, kind, title, seconds):
    """Waits for this message, whatever else comes before."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        assert left > 0, f"nobody was told {kind} {title!r}"
        try:
            said = hooks.got.get(timeout=left)
        except queue.Empty:
            continue
        if said["type"] == kind and said["data"]["title"] == title:
            return said


def fill(path):
    """A file that takes all the room that is left."""
    with path.open("ab", buffering=0) as ballast:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                pass


def reasons(server):
    try:
        return server.call("GET", "/readyz", None)["reasons"]
    except Refused as refused:
        return json.loads(refused.problem)["reasons"]


def open_alarms(server):
    return [one["condition"] for one in server.api("GET", "/server/alarms")["items"]]


def acked(publishers):
    return sum(len(publisher.acked) for publisher in publishers)


def answered(server, path, seconds=2.0):
    began = time.monotonic()
    answer = server.api("GET", path)
    took = time.monotonic() - began
    assert took < seconds, f"GET {path} took {took:.1f} s"
    return answer


def keep_full(path, stop):
    """What is freed by chance is taken too, until `stop`."""
    while not stop.is_set():
        fill(path)
        stop.wait(0.1)


class Full:
    """The disk stays full while this is entered."""

    def __init__(self, disk):
        self.ballast = disk / "ballast"

    def __enter__(self):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=keep_full, args=(self.ballast, self.stop), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.ballast.unlink()


def run(disk):
    hooks = receiver()
    port = hooks.server_address[1]
    # Beside the disk that is filled: it is no part of what a full disk may harm.
    config = pathlib.Path(tempfile.mkdtemp(prefix="iotbiz-full-config-"), "iotbiz.toml")
    config.write_text(
        f'[notify]\nallow_hosts = ["127.0.0.1:{port}"]\n[log]\nsnapshot_every_s = {SNAPSHOT_SECONDS}\n'
    )
    server = Server()
    shutil.rmtree(server.data)
    server.data = str(disk / "data")
    publishers = []
    try:
        more = ["--config", str(config)]
        server.start(more)
        server.apply()
        server.command("person", "add", "ada", "--role", "operator")
        hook = f"http://127.0.0.1:{port}/ada"
        server.command("person", "notify", "ada", "--role", "operator", "--webhook", hook)
        logins = [server.add(f"counter-{number}") for number in range(DEVICES)]
        publishers = [Publisher(server, login, number) for number, login in enumerate(logins)]
        eventually("something acknowledged", lambda: acked(publishers) > 1000, seconds=20)
        with Full(disk):
            while_full(server, (publishers, logins), hooks, more)
        after(server, publishers, hooks)
    finally:
        for publisher in publishers:
            publisher.stopping = True
            publisher.client.loop_stop()
        hooks.shutdown()
        server.remove()
        shutil.rmtree(config.parent, ignore_errors=True)


def while_full(server, devices, hooks, more):
    publishers, logins = devices
    with fact("full disk: the server says so, an alarm is raised, and people are told of it"):
        eventually("disk_full", lambda: "disk_full" in reasons(server), seconds=FULL_SECONDS_MAX)
        eventually("the alarm", lambda: "disk_full" in open_alarms(server), seconds=10)
        said = told(hooks, "iotbiz.alarm.raised.v1", "The disk is full: devices wait", seconds=20)
        assert "What to do" in said["data"]["text"], said
    with fact("full disk: devices wait and are told nothing that is not so"):
        time.sleep(1)
        before = acked(publishers)
        time.sleep(STAY_SECONDS)
        grown = acked(publishers) - before
        assert grown == 0, f"{grown} messages were acknowledged on a full disk"
        assert any(publisher.under_way for publisher in publishers), "nobody waits"
        assert server.process.poll() is None, f"the server ended with {server.process.poll()}"
    with fact("full disk: reads go on"):
        assert len(answered(server, "/devices")["items"]) == DEVICES
        for number, login in enumerate(logins):
            twin = answered(server, f"/devices/{login.user}/twin")
            assert twin["readings"]["temperature"]["value"] == number, twin
            span = f"from={rfc3339(FIRST_TS)}&to={rfc3339(FIRST_TS + 10_000_000)}"
            answered(server, f"/devices/{login.user}/history?property=temperature&{span}&px=100")
        answered(server, "/alarms?state=all")
        answered(server, "/status")
    with fact("full disk: what somebody decides is taken or refused with a reason"):
        try:
            server.api("POST", "/devices", {"name": "late", "kind": "probe"})
        except Refused as refused:
            assert refused.status == 503, f"{refused}"
            assert json.loads(refused.problem)["detail"], f"{refused}"
    with fact("full disk: after a kill the server starts on it, says so and answers reads"):
        server.kill()
        server.start(more)
        assert len(answered(server, "/devices", seconds=5)["items"]) >= DEVICES
        eventually("disk_full", lambda: "disk_full" in reasons(server), seconds=FULL_SECONDS_MAX)


def after(server, publishers, hooks):
    with fact("full disk: with room everything goes on by itself, and people are told that it is over"):
        before = acked(publishers)
        eventually("acknowledged again", lambda: acked(publishers) > before, seconds=RESUME_SECONDS_MAX)
        # Before they fill the disk themselves.
        for publisher in publishers:
            publisher.stop(seconds=RESUME_SECONDS_MAX)
        waiting = sum(len(publisher.under_way) for publisher in publishers)
        assert waiting == 0, f"{waiting} messages were never acknowledged"
        eventually("ready", lambda: reasons(server) == [], seconds=RESUME_SECONDS_MAX)
        eventually("no alarm", lambda: open_alarms(server) == [], seconds=20)
        told(hooks, "iotbiz.alarm.cleared.v1", "The disk is full: devices wait", seconds=30)
    with fact("full disk: a device and its readings are taken as always"):
        login = server.add("afterwards")
        server.ingest(login.password, '{"temperature":20.5}')
        eventually("20.5", lambda: server.reading(login.user, "temperature") == 20.5)
    with fact("full disk: every acknowledged message is in history"):
        found = {}
        eventually("all of them", lambda: in_history(server, publishers, found), seconds=RESUME_SECONDS_MAX)
    with fact("full disk: every acknowledged message is in the log, and every byte of it is whole"):
        assert server.stop() == 0, "the server did not stop in order"
        server.fsck()
        logged = collections.defaultdict(set)
        for payload in logfile.payloads(f"{server.data}/log"):
            said = json.loads(payload)
            if "ts" in said:
                logged[said["values"]["temperature"]].add(said["ts"] - FIRST_TS)
        for publisher in publishers:
            missing = publisher.acked - logged[publisher.number]
            assert not missing, f"{publisher.user} lost {len(missing)}, first {min(missing)}"
    count = sum(len(publisher.acked) for publisher in publishers)
    print(f"     {count} acknowledged before, on and after a full disk of {DISK_BYTES >> 20} MiB")


def rfc3339(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def in_history(server, publishers, found):
    """Whether an export has everything that was acknowledged."""
    text = server.command("export", "--kind", "probe")
    rows = csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#"))
    found.clear()
    for row in rows:
        at = datetime.datetime.fromisoformat(row["_ts"].replace("Z", "+00:00"))
        found.setdefault(float(row["temperature"]), set()).add(round(at.timestamp() * 1000) - FIRST_TS)
    return all(publisher.acked <= found.get(float(publisher.number), set()) for publisher in publishers)


if __name__ == "__main__":
    run(pathlib.Path(sys.argv[1]))
    sys.exit(1 if verdicts.failed else 0)
