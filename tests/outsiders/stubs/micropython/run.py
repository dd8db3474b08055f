"""Runs the main.py of the current folder under Python: what MicroPython has more is added here."""

import pathlib
import runpy
import sys
import time
import types

TICKS = 1 << 30


def module(name, **content):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(content)


class Wlan:
    def __init__(self, _interface):
        pass

    def active(self, _on):
        pass

    def connect(self, _name, _password):
        pass

    def isconnected(self):
        return True


time.ticks_ms = lambda: time.monotonic_ns() // 1_000_000 % TICKS
time.ticks_add = lambda ticks, ms: (ticks + ms) % TICKS
time.ticks_diff = lambda end, start: (end - start + TICKS // 2) % TICKS - TICKS // 2
time.sleep_ms = lambda ms: time.sleep(ms / 1000)
module("network", STA_IF=0, WLAN=Wlan)
module("ntptime", settime=lambda: None)
sys.path[:0] = [str(pathlib.Path.cwd()), str(pathlib.Path(__file__).parent)]
runpy.run_path("main.py", run_name="__main__")
