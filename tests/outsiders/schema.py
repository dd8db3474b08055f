"""The API's own document, turned against it: schemathesis makes requests of it, right ones and wrong
ones, and no answer may be a mistake of the server."""

import os
import re
import subprocess

from server import Server
from verdicts import fact

SECONDS_MAX = 300
EXAMPLES = 15


def facts():
    server = Server()
    try:
        server.start()
        server.apply()
        server.add("probe-1")
        with fact("schemathesis: no request ends in a mistake of the server"):
            done = subprocess.run(
                [
                    os.environ["SCHEMATHESIS"],
                    "run",
                    f"http://{server.http}/api/openapi.json",
                    "--url",
                    f"http://{server.http}",
                    # The live stream never ends.
                    "--exclude-path",
                    "/api/v1/stream",
                    "--checks",
                    "not_a_server_error",
                    "--phases",
                    "examples,coverage,fuzzing",
                    "--max-examples",
                    str(EXAMPLES),
                    "--seed",
                    "1",
                    "--request-timeout",
                    "10",
                    "--no-color",
                ],
                capture_output=True,
                text=True,
                timeout=SECONDS_MAX,
                # It keeps notes of its runs where it is started.
                cwd=server.data,
            )
            text = done.stdout + done.stderr
            generated = re.search(r"(\d[\d,]*) generated", text)
            failures = re.findall(r"\[(5\d\d)\]|(5\d\d) [A-Z]", text)
            assert done.returncode == 0 and not failures, text[-3000:]
            assert generated, f"it does not say how many requests it made: {text[-500:]}"
            print(f"     {generated.group(0)} requests", flush=True)
        with fact("schemathesis: the server stands as before"):
            assert server.process.poll() is None, "it ended"
            # What it made up may have removed the first device; another one still comes in.
            server.add("probe-2")
            assert server.api("GET", "/status")["counts"]["devices"] >= 1
    finally:
        server.remove()


if __name__ == "__main__":
    facts()
