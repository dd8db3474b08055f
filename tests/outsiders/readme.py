"""The README's commands, typed as they stand there, in an empty folder.

Only what a shared machine forces differs: `iotbiz run` takes free ports instead of its own, and the
others are told by IOTBIZ_URL where it listens.
"""

import os
import pathlib
import shlex
import subprocess

from server import BINARY, Server
from verdicts import fact

README = pathlib.Path(__file__).parents[2] / "README.md"
COMMAND_SECONDS_MAX = 120


def commands():
    """The lines of the README's shell blocks that call the program, without their comments."""
    fenced = False
    for line in README.read_text().splitlines():
        if line.startswith("```"):
            fenced = line == "```sh"
        elif fenced and line.startswith("iotbiz "):
            yield line.split("  #")[0].strip()


def facts():
    server = Server()
    try:
        typed = list(commands())
        starts = [line for line in typed if line.split()[1] == "run"]
        with fact("README: there is one server to start, and commands for it"):
            assert len(starts) == 1 and len(typed) > 4, f"{typed}"
        # The server's own options are those of the README; the data lies in the empty folder.
        server.start(more=[word for word in shlex.split(starts[0])[2:] if word != "--trust-loopback"])
        environment = {
            **os.environ,
            "PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}",
            "IOTBIZ_URL": f"http://{server.http}",
        }
        for line in typed:
            if line in starts:
                continue
            with fact(f"README: {line}"):
                done = subprocess.run(
                    ["sh", "-c", line],
                    cwd=server.data,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=COMMAND_SECONDS_MAX,
                )
                assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.strip()}"
    finally:
        server.remove()
