"""box-0001, a box of coolbox: measures and sends. This file is yours."""

import random
import time

import network
import ntptime

import credential
from device import Device

FIRMWARE = "1.0.0"


class ThisDevice(Device):
    def take_settings(self, wanted):
        """Somebody changes settings: take over what you can and return what is in force."""
        print("settings changed")
        return wanted

    def on_locate(self):
        """Somebody asks for this: answer within 30 s."""
        print("command: locate")
        return {}


def measure():
    """MADE-UP VALUES: read your sensors here. What is left out is not sent."""
    return {
        "battery": round(random.uniform(4.0, 6.0), 1),
        "lid_open": False,
        "position": (52.52, 13.405),
        "temperature": round(random.uniform(-22.0, 12.0), 1),
    }


def set_clock():
    """Without the right time nothing that was measured offline can be dated, and TLS fails."""
    try:
        ntptime.settime()
    except OSError as error:
        print("the clock is not set:", error)


def main():
    wifi = network.WLAN(network.STA_IF)
    wifi.active(True)
    wifi.connect(credential.WIFI_NAME, credential.WIFI_PASSWORD)
    device = ThisDevice(FIRMWARE)
    measured = None
    clock_set = False
    while True:
        if wifi.isconnected() and not clock_set:
            set_clock()
            clock_set = True
        every_ms = int(1000 * (device.settings.interval or 60.0))
        now = time.ticks_ms()
        if measured is None or time.ticks_diff(now, measured) >= every_ms:
            measured = now
            device.send(**measure())
        device.loop(200)


main()
