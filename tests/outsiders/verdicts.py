"""Counts what held: one `PASS name` or `FAIL name: why` line each, which `cargo xtask test` adds up."""

import contextlib
import sys
import time
import traceback

failed = 0


@contextlib.contextmanager
def fact(name):
    """A fact that holds when the block ends without an exception."""
    global failed
    start = time.monotonic()
    try:
        yield
    except Exception as error:  # one broken client must not hide what the others say
        failed += 1
        why = str(error).strip() or type(error).__name__
        print(f"FAIL {name}: {why.splitlines()[0]}", flush=True)
        if not isinstance(error, AssertionError):
            traceback.print_exc(limit=-3, file=sys.stderr)
    else:
        print(f"PASS {name} ({time.monotonic() - start:.1f} s)", flush=True)


def eventually(what, question, seconds=5.0):
    """Asks until the answer is true; a state is reached some time after its cause."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
