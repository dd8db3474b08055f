"""A running `iotbiz run` with a data folder of its own, and its HTTP API."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

BINARY = os.environ.get("IOTBIZ", "iotbiz")
BLUEPRINT = pathlib.Path(__file__).with_name("blueprint.toml")
START_SECONDS_MAX = 20


class Refused(Exception):
    """The API said no."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem


class Server:
    def __init__(self):
        self.data = tempfile.mkdtemp(prefix="iotbiz-outsiders-")
        self.http = "127.0.0.1:0"
        self.mqtt = "127.0.0.1:0"
        self.process = None

    def start(self, more=()):
        """Starts, on free ports the first time and on the same ones after that."""
        command = [BINARY, "run", "--json", "--trust-loopback", "--data", self.data]
        command += ["--listen", self.http, "--mqtt", self.mqtt, *more]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        alarm = threading.Timer(START_SECONDS_MAX, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        assert line, f"`{' '.join(command)}` ended before it said where it listens"
        said = json.loads(line)
        self.http, self.mqtt = said["http"], said["mqtt"]
        # Nobody reads the rest, and a full pipe would stop the server.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def kill(self):
        """SIGKILL: no chance to write anything more."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=20)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    def host(self):
        return self.mqtt.rsplit(":", 1)[0]

    @property
    def port(self):
        return int(self.mqtt.rsplit(":", 1)[1])

    def api(self, method, path, body=None, **headers):
        """One call of the HTTP API; gives the JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        return self.call(method, f"/api/v1{path}", data, **headers)

    def call(self, method, path, data, **headers):
        request = urllib.request.Request(
            f"http://{self.http}{path}",
            method=method,
            data=data,
            headers={"content-type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if text else None

    @property
    def tenant(self):
        return self.api("GET", "/status")["tenant"]["id"]

    def ingest(self, token, body):
        """Telemetry by HTTP."""
        return self.call(
            "POST", "/ingest/v1/telemetry", body.encode(), authorization=f"Bearer {token}"
        )

    def command(self, *arguments):
        """Runs the command line against this server; gives its standard output."""
        done = subprocess.run(
            [BINARY, *arguments, "--server", f"http://{self.http}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"iotbiz {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout

    def fsck(self):
        """Every byte of the log, checked by the program itself; the server must be stopped."""
        done = subprocess.run([BINARY, "fsck", self.data], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"iotbiz fsck: {done.stdout.strip()} {done.stderr.strip()}"

    def apply(self):
        """Puts the blueprint of these tests in force."""
        self.command("apply", str(BLUEPRINT), "--yes")

    def add(self, name, kind="probe"):
        """A new device; gives its id and token."""
        made = self.api("POST", "/devices", {"name": name, "kind": kind})
        return Login(made["device"]["id"], made["credential"]["token"])

    def reading(self, device, name):
        """The value of a reading in the twin, or None."""
        twin = self.api("GET", f"/devices/{device}/twin")
        return twin["readings"].get(name, {}).get("value")


class Login:
    """What a device shows at the door."""

    def __init__(self, user, password):
        self.user = user
        self.password = password
