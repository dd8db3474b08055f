"""Backups are taken while devices publish; then one is restored and its log is read.

Held afterwards: every message that was acknowledged before a backup was begun is in it, its offset
is the last of the restored log, a kill of the backup harms nothing, and the server went on answering.
"""

import collections
import json
import pathlib
import random
import shutil
import subprocess
import tempfile
import time

import logfile
from kills import DEVICES, FIRST_TS, Publisher
from server import BINARY, Server
from verdicts import fact

BACKUPS = 4
UP_SECONDS = (0.4, 1.2)


def run(*arguments):
    """The program on files; gives what it printed as JSON."""
    done = subprocess.run(
        [BINARY, *map(str, arguments), "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    command = f"iotbiz {' '.join(map(str, arguments))}"
    assert done.returncode == 0, f"{command}: {done.stdout.strip()} {done.stderr.strip()}"
    return json.loads(done.stdout)


def killed(data, kept, seconds):
    """A backup that is killed somewhere in the middle."""
    process = subprocess.Popen(
        [BINARY, "backup", str(kept), "--data", data],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    process.kill()
    process.wait()


def messages(folder):
    """Numbers of the messages in a log, by device."""
    found = collections.defaultdict(set)
    for payload in logfile.payloads(folder):
        said = json.loads(payload)
        found[said["values"]["temperature"]].add(said["ts"] - FIRST_TS)
    return found


def facts(seed):
    chance = random.Random(seed)
    server = Server()
    work = pathlib.Path(tempfile.mkdtemp(prefix="iotbiz-backup-"))
    kept = work / "kept"
    publishers = []
    try:
        server.start()
        server.apply()
        publishers = [
            Publisher(server, server.add(f"counter-{number}"), number)
            for number in range(DEVICES)
        ]
        taken = []
        for _ in range(BACKUPS):
            time.sleep(chance.uniform(*UP_SECONDS))
            killed(server.data, kept, chance.uniform(0.0, 0.1))
            acked = {publisher.number: set(publisher.acked) for publisher in publishers}
            backup = run("backup", kept, "--data", server.data)
            now = {publisher.number: len(publisher.acked) for publisher in publishers}
            taken.append((backup, acked, now))
        for publisher in publishers:
            publisher.stop(seconds=20)
        with fact("backup: devices are answered while one is taken"):
            grown = sum(
                now[number] - len(acked[number]) for _, acked, now in taken for number in acked
            )
            assert grown > 0, "no message was acknowledged while a backup was taken"
        assert server.stop() == 0, "the server did not stop in order"
        judge(taken, kept, work)
        last = taken[-1][0]
        print(
            f"     {BACKUPS} backups and as many killed, the last of {last['bytes']} bytes, "
            f"{last['new_bytes']} new, in {last['took_ms']} ms (seed {seed})"
        )
    finally:
        for publisher in publishers:
            publisher.stopping = True
            publisher.client.loop_stop()
        server.remove()
        shutil.rmtree(work, ignore_errors=True)


def judge(taken, kept, work):
    for number, (backup, acked, _) in enumerate(taken, 1):
        into = work / f"restored-{number}"
        name = backup["backup"]
        with fact(f"backup {number}: every message acknowledged before it is in it"):
            run("restore", kept, "--at", name, "--into", into)
            found = messages(into / "log")
            for device, counts in acked.items():
                missing = counts - found[device]
                assert not missing, f"device {device} lost {len(missing)}, first {min(missing)}"
        with fact(f"backup {number}: its log ends at its offset and is whole"):
            report = run("fsck", into)
            assert report["whole"], report
            segments = [one for one in report["segments"] if one["log"] == "main"]
            last = segments[-1]["offsets"].split(" to ")[1]
            assert int(last) == backup["offset"], f"{last} and not {backup['offset']}"
        shutil.rmtree(into, ignore_errors=True)
    with fact("backup: the drill of the last one is good"):
        receipt = run("backup", "drill", kept)
        assert receipt["good"], receipt
