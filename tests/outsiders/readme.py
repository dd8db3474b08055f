"""The README's commands, typed as they stand there, in an empty folder.

Only what a shared machine forces differs: `iotbiz run` and `iotbiz demo` take free ports instead of their
own, the demo fewer boxes, and the others are told by IOTBIZ_URL where they listen.
"""

import json
import os
import pathlib
import shlex
import subprocess
import tempfile

from server import BINARY, Server
from verdicts import fact

README = pathlib.Path(__file__).parents[2] / "README.md"
COMMAND_SECONDS_MAX = 120
# Enough for one at each site and two bases of the demo.
DEMO_BOXES = 3


def commands():
    """The lines of the README's shell blocks that call the program, without their comments."""
    fenced = False
    for line in README.read_text().splitlines():
        if line.startswith("```"):
            fenced = line == "```sh"
        elif fenced and line.startswith("iotbiz "):
            yield line.split("  #")[0].strip()


class Demo:
    """`iotbiz demo` in a folder of its own; gone at the end."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [BINARY, "demo", "--json", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]
            + ["--devices", str(DEMO_BOXES)],
            cwd=self.folder.name,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = f"http://{json.loads(self.process.stdout.readline())['http']}"

    def remove(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
        self.folder.cleanup()


def typed(line, folder, url):
    """Types a line, and states what came of it."""
    environment = {
        **os.environ,
        "PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}",
        "IOTBIZ_URL": url,
    }
    with fact(f"README: {line}"):
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
        assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.strip()}"


def facts():
    server, demo = Server(), None
    try:
        lines = list(commands())
        starts = [line for line in lines if line.split()[1] == "run"]
        with fact("README: there is one server to start, and commands for it"):
            assert len(starts) == 1 and len(lines) > 4, f"{lines}"
        # The server's own options are those of the README; the data lies in the empty folder.
        server.start(more=[word for word in shlex.split(starts[0])[2:] if word != "--trust-loopback"])
        folder, url = server.data, f"http://{server.http}"
        for line in lines:
            if line in starts:
                continue
            if line.split()[1] == "demo":
                with fact(f"README: {line}"):
                    demo = Demo()
                folder, url = demo.folder.name, demo.url
                continue
            typed(line, folder, url)
    finally:
        if demo:
            demo.remove()
        server.remove()
