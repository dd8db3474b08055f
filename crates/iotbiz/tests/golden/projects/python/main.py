"""box-0001, a box of coolbox: measures and sends. This file is yours."""

from __future__ import annotations

import logging
import random
import signal
import sys
import time

from device import Device, Settings

FIRMWARE = "1.0.0"


class ThisDevice(Device):
    def take_settings(self, wanted: Settings) -> Settings:
        """Somebody changes settings: take over what you can and return what is in force."""
        print("settings:", wanted, flush=True)
        return wanted

    def on_locate(self) -> dict | None:
        """Somebody asks for this: answer within 30 s."""
        print("command: locate", flush=True)
        return {}


def measure():
    """MADE-UP VALUES: read your sensors here. What is left out is not sent."""
    return {
        "battery": round(random.uniform(4.0, 6.0), 1),
        "lid_open": False,
        "position": (52.52, 13.405),
        "temperature": round(random.uniform(-22.0, 12.0), 1),
    }


def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThisDevice(firmware=FIRMWARE) as device:
        while True:
            device.send(**measure())
            device.wait(device.settings.interval or 60)


if __name__ == "__main__":
    main()
