"""Projects for boards, as a stranger gets them: written, built and run against a server.

The clients run side by side, each as a device of its own, whose properties are named with
reserved words. What is asked of them stands in the README of every project.
"""

import datetime
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import time
import tomllib

import paho.mqtt.client as paho

from authorities import Authorities, Terminator
from server import BINARY, Server
from verdicts import eventually, fact

BLUEPRINT = """
blueprint = 1
venture   = "projects"
title     = "Boards with difficult names"
problem   = "Names of properties are reserved words somewhere"
segment   = "test benches"
currency  = "EUR"
timezone  = "Europe/Berlin"

[device.thing.readings]
class  = { unit = "°C", min = -40, max = 85, every = "1 min" }
float  = "boolean"
import = "text"
self   = "position"
smoke  = { unit = "%", min = 0, max = 100, urgent = true }

[device.thing.settings]
interval = { min = "1 s", max = "1 h", drives = "class.every" }
lambda   = "boolean"

[device.thing.commands]
locate = { timeout = "30 s" }

[device.thing.commands.move]
timeout = "10 s"
[device.thing.commands.move.args]
while = { min = 0, max = 10 }
for   = "text"
"""
BUILD_SECONDS_MAX = 600
BACK_SECONDS_MAX = 90
# Two are sent every two seconds: one of them on the urgent lane.
EVERY_MS = 2000
WAITING = 8
# Where the Rust project is built, so that its dependencies are built once.
RUST_TARGET = os.environ.get("PROJECTS_TARGET", str(pathlib.Path(BINARY).parents[1] / "outsiders/projects"))

STUBS = pathlib.Path(__file__).with_name("stubs")
MAKE = {"python": [], "micropython": [], "c": ["make"], "rust": ["cargo", "build", "--quiet"]}
START = {
    "python": [sys.executable, "main.py"],
    # Python, with stand-ins for what only a board has.
    "micropython": [sys.executable, str(STUBS / "micropython/run.py")],
    "c": ["./device"],
    "rust": [f"{RUST_TARGET}/debug/device"],
}


class Board:
    """A device, its folder and its process."""

    def __init__(self, server, language):
        self.server, self.language = server, language
        self.name = f"board-{language}"
        self.folder = pathlib.Path(server.data) / self.name
        self.device = server.add(self.name, kind="thing").user
        self.secret = self.folder / f"credential.{'py' if language == 'micropython' else 'env'}"
        self.process = None
        self.runs = 0

    @property
    def log(self):
        return self.folder / f"log-{self.runs}"

    def write(self):
        said = self.server.command(
            *("connect", self.name, "--for", self.language, "--out", str(self.folder), "--json")
        )
        return json.loads(said)

    def build(self, *options):
        if not MAKE[self.language]:
            return
        done = subprocess.run(
            [*MAKE[self.language], *options],
            cwd=self.folder,
            env={**os.environ, "CARGO_TARGET_DIR": RUST_TARGET, "RUSTFLAGS": "-Dwarnings"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS_MAX,
        )
        assert done.returncode == 0, done.stderr.strip()[-2000:]
        assert "warning" not in done.stderr, done.stderr.strip()[:2000]

    def start(self, credential="credential.env"):
        self.runs += 1
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                START[self.language],
                cwd=self.folder,
                env={**os.environ, "IOTBIZ_CREDENTIAL": credential, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def says(self, *texts):
        """Whether the log has a line with all of them."""
        assert self.process.poll() is None, f"it ended: {self.log.read_text()[-500:]}"
        lines = self.log.read_text().splitlines()
        return any(all(text in line for text in texts) for line in lines)

    def twin(self):
        return self.server.api("GET", f"/devices/{self.device}/twin")


class Service:
    """A program of the tenant: gives commands, hears answers."""

    def __init__(self, server):
        issued = server.api("POST", "/tokens", {"name": "commander", "role": "service"})
        self.tenant, self.answers, self.ready = server.tenant, queue.Queue(), queue.Queue()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="commander")
        self.client.username_pw_set("commander", issued["token"])
        self.client.on_subscribe = lambda *_: self.ready.put(True)
        self.client.on_message = lambda _c, _u, message: self.answers.put(
            (message.topic.split("/")[-2], json.loads(message.payload))
        )
        self.client.connect(server.host, server.port)
        self.client.loop_start()
        self.client.subscribe(f"t/{self.tenant}/d/+/command/+/answer", 1)
        self.ready.get(timeout=8)

    def command(self, board, command, **body):
        topic = f"t/{self.tenant}/d/{board.device}/command/{command}"
        self.client.publish(topic, json.dumps(body), qos=1).wait_for_publish(8)

    def answer(self, command, seconds=8):
        found, answer = self.answers.get(timeout=seconds)
        assert found == command, f"{found} was answered instead: {answer}"
        return answer

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def now_ms():
    return time.time_ns() // 1_000_000


def readings_arrive(board):
    with fact(f"{board.language}: every reading is in the twin, whatever it is called"):
        names = {"class", "float", "import", "self", "smoke"}
        eventually(f"{sorted(names)}", lambda: set(board.twin()["readings"]) >= names, 15)
        assert board.twin()["reported"]["firmware"]["value"] == "1.0.0"
    with fact(f"{board.language}: nothing it sends is held in quarantine"):
        held = board.server.api("GET", "/quarantine")["items"]
        mine = [item for item in held if item.get("device", {}).get("id") == board.device]
        assert not mine, f"{mine}"


def settings_are_reported(board):
    with fact(f"{board.language}: a wanted setting is taken over and reported"):
        wanted = {"interval": "2 s", "lambda": True}
        board.server.api("PATCH", f"/devices/{board.device}/desired", wanted)
        eventually("nothing pending", lambda: not board.twin()["pending"], 10)
        reported = board.twin()["reported"]
        assert reported["interval"]["value"] == 2, f"{reported}"
        assert reported["lambda"]["value"] is True, f"{reported}"


def commands_are_answered(board, service):
    soon = now_ms() + 60_000
    with fact(f"{board.language}: a command is answered"):
        service.command(board, "c1", name="locate", args={}, expires=soon)
        assert service.answer("c1") == {"ok": True}
        service.command(board, "c2", name="move", args={"while": 3, "for": "you"}, expires=soon)
        assert service.answer("c2")["ok"] is True
    with fact(f"{board.language}: a command whose id is known is not done again"):
        service.command(board, "c1", name="locate", args={}, expires=soon)
        service.command(board, "c3", name="locate", args={})
        assert service.answer("c3")["ok"] is True
    with fact(f"{board.language}: a command that expired, is unknown or is wrong is not done"):
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
        service.command(board, "c4", name="locate", args={}, expires=past.strftime("%Y-%m-%dT%H:%M:%SZ"))
        assert service.answer("c4") == {"ok": False, "error": "expired"}
        service.command(board, "c5", name="sing", args={}, expires=soon)
        assert service.answer("c5")["ok"] is False
        service.command(board, "c6", name="move", args={"while": 11}, expires=soon)
        assert service.answer("c6")["ok"] is False


def counted(board, start, end):
    """Readings that were measured between two moments."""
    text = [f"{datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc):%Y-%m-%dT%H:%M:%S}Z" for ms in (start, end)]
    path = f"/devices/{board.device}/history?property=class&from={text[0]}&to={text[1]}"
    return board.server.api("GET", path)["points"]


def buffered_readings_arrive(boards, server):
    stopped = now_ms()
    server.stop()
    for board in boards:
        with fact(f"{board.language}: readings wait while the server is away"):
            waiting = [f"; {count} messages wait" for count in range(WAITING, 10 * WAITING)]
            eventually(
                f"at least {WAITING} messages wait",
                lambda: any(board.says(text) for text in waiting),
                BACK_SECONDS_MAX,
            )
    back = now_ms()
    server.start()
    for board in boards:
        with fact(f"{board.language}: they arrive with their times when it is back"):
            # Whole seconds inside the outage, so that no reading beside it counts.
            start, end = (stopped // 1000 + 1) * 1000, back // 1000 * 1000
            expected = (end - start) // EVERY_MS - 1
            assert expected > 0, f"the outage took only {end - start} ms"
            eventually(
                f"{expected} of the outage",
                lambda: counted(board, start, end) >= expected,
                BACK_SECONDS_MAX,
            )


def a_wrong_token_is_named(board):
    with fact(f"{board.language}: a wrong token is said with what to do"):
        board.end()
        right = board.secret.read_text()
        board.secret.write_text(right.replace(token_of(right), "wrong"))
        board.start()
        eventually(
            "the message",
            lambda: board.says("does not accept the token", f"iotbiz device rotate {board.name}"),
            10,
        )
        board.secret.write_text(right)


def token_of(text):
    """The token in the text of a secret file, whichever way it is written."""
    return re.search(r'TOKEN ?= ?"?([\w-]+)', text)[1]


def certificates_are_explained(board, authorities, today, tomorrow):
    """libmosquitto does not say why it refuses, so that the C client names all that may be wrong."""
    not_yet = {"python": "not yet valid", "rust": "not yet valid", "c": "wrong time here (now: "}
    wrong_ca = {"python": "wrong CA", "rust": "wrong CA", "c": "Wrong CA"}
    with fact(f"{board.language}: the reason why a certificate is not accepted is said"):
        board.end()
        if board.language == "rust":
            board.build("--features", "tls")
        for authority, server, expected in (("own", tomorrow, not_yet), ("other", today, wrong_ca)):
            shutil.copy(authorities.folder / f"{authority}.pem", board.folder / f"{authority}.pem")
            kept = (board.folder / "credential.env").read_text().splitlines()
            lines = [line for line in kept if not line.startswith("IOTBIZ_PORT=")]
            lines += [f"IOTBIZ_PORT={server.port}", f"IOTBIZ_CA={authority}.pem"]
            (board.folder / f"{authority}.env").write_text("\n".join(lines) + "\n")
            board.start(credential=f"{authority}.env")
            said = expected[board.language]
            eventually(said, lambda: board.says(said), 10)
            board.end()
    with fact(f"{board.language}: with the right authority it sends over TLS"):
        line = f"IOTBIZ_PORT={today.port}\n"
        text = (board.folder / "own.env").read_text()
        (board.folder / "own.env").write_text(text.replace(f"IOTBIZ_PORT={tomorrow.port}\n", line))
        before = board.twin()["readings"]["class"]["at"]
        board.start(credential="own.env")
        eventually("connected", lambda: board.says("connected as"), 10)
        eventually("a reading", lambda: board.twin()["readings"]["class"]["at"] > before, 10)
        board.end()


def written(board):
    with fact(f"{board.language}: the project is written, with its secret in one ignored file"):
        said = board.write()
        secret = [file["path"] for file in said["files"] if file["whose"] == "secret"]
        assert secret == [str(board.secret)], f"{said}"
        token = token_of(board.secret.read_text())
        for file in said["files"]:
            text = pathlib.Path(file["path"]).read_text()
            assert (token in text) == (file["whose"] == "secret"), f"{file}"
        assert board.secret.name in (board.folder / ".gitignore").read_text().splitlines()
    with fact(f"{board.language}: it builds without a warning"):
        board.build()


def syntax_checks(language, folder):
    """The commands that check a project with the compilers of this machine."""
    c = ["gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    cpp = ["g++", "-std=gnu++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    cpp += ["-I", str(STUBS / "arduino"), "-include", "Arduino.h"]
    match language:
        case "python" | "micropython":
            return [[sys.executable, "-m", "py_compile", *map(str, sorted(folder.glob("*.py")))]]
        case "c":
            return [[*c, *map(str, folder.glob("*.c"))]]
        case "rust":
            return [["cargo", "check", "--quiet", "--manifest-path", str(folder / "Cargo.toml")]]
        case "esp-idf":
            return [[*c, "-I", str(STUBS / "esp_idf"), *map(str, folder.glob("main/*.c"))]]
        case "zephyr":
            return [[*c, "-I", str(STUBS / "zephyr"), *map(str, folder.glob("src/*.c"))]]
        case "arduino":
            device = folder / "device"
            sketch = ["-x", "c++", str(device / "device.ino")]
            return [
                [*c, *map(str, device.glob("*.c"))],
                [*cpp, str(device / "connection.cpp")],
                [*cpp, "-I", str(device), *sketch],
            ]


def every_template_compiles(server):
    """Each kind of each template, in each language, with the certificate of an authority too."""
    authority = pathlib.Path(server.data) / "authority.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    listed = server.command("init").splitlines()[1:]
    kinds = []
    for template in (line.split("\t")[0] for line in listed):
        blueprint = pathlib.Path(server.data) / f"{template}.toml"
        server.command("init", "--from", template, str(blueprint))
        server.command("apply", str(blueprint), "--yes")
        for kind in tomllib.loads(blueprint.read_text())["device"]:
            kinds.append((template, kind))
    for language in ("python", "micropython", "c", "arduino", "esp-idf", "zephyr", "rust"):
        with fact(f"{language}: every kind of every template compiles, with TLS and without"):
            for template, kind in kinds:
                # A device has few tokens, so each project has a device of its own.
                name = f"{template}-{kind}-{language}"
                server.command("device", "add", name, "--kind", kind, "--venture", template)
                for tls in ([], ["--tls", "--ca", str(authority)]):
                    folder = pathlib.Path(server.data) / "compiled" / f"{name}-{len(tls)}"
                    server.command("connect", name, "--for", language, "--out", str(folder), *tls)
                    for command in syntax_checks(language, folder):
                        compiles(command)


def compiles(command):
    done = subprocess.run(
        command,
        env={**os.environ, "CARGO_TARGET_DIR": RUST_TARGET, "RUSTFLAGS": "-Dwarnings"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
    )
    found = [line for line in done.stderr.splitlines() if "error" in line]
    assert done.returncode == 0, found[0] if found else done.stderr


def facts():
    server = Server()
    boards, service = [], None
    try:
        server.start()
        blueprint = pathlib.Path(server.data) / "projects.toml"
        blueprint.write_text(BLUEPRINT)
        server.command("apply", str(blueprint), "--yes")
        boards = [Board(server, language) for language in MAKE]
        for board in boards:
            written(board)
        for board in boards:
            board.start()
        service = Service(server)
        for board in boards:
            readings_arrive(board)
            settings_are_reported(board)
            commands_are_answered(board, service)
        service.end()
        buffered_readings_arrive(boards, server)
        for board in boards:
            a_wrong_token_is_named(board)
        authorities = Authorities(pathlib.Path(server.data) / "authorities")
        behind = (server.host, server.port)
        today = Terminator(
            *authorities.certificate("today", "20200101000000Z", "20900101000000Z"), behind
        )
        tomorrow = Terminator(
            *authorities.certificate("tomorrow", "20900101000000Z", "20910101000000Z"), behind
        )
        for board in (board for board in boards if board.language != "micropython"):
            certificates_are_explained(board, authorities, today, tomorrow)
        today.close()
        tomorrow.close()
        every_template_compiles(server)
    finally:
        for board in boards:
            board.end()
        if keep := os.environ.get("PROJECTS_KEEP"):
            for board in boards:
                shutil.copytree(board.folder, pathlib.Path(keep) / board.language, dirs_exist_ok=True)
        server.remove()


if __name__ == "__main__":
    facts()
