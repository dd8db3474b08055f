"""Readings, settings and commands of a box: revision 3 of the blueprint of coolbox.

`iotbiz connect box-0001 --for python --update` writes this file again after the blueprint changed;
your own code is in main.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import iotbiz


@dataclass
class Settings:
    """Values that may be changed on this device; None is not known yet."""
    interval: float | None = 60.0  # s, 10 to 3600


class Device(iotbiz.Connection):
    device = "box-0001"
    remedy = (
        "These are the readings and settings of revision 3 of the blueprint; is there "
        "another? iotbiz connect box-0001 --for python --update"
    )
    readings = {
        "battery": iotbiz.Number("%", None, None),
        "lid_open": iotbiz.Boolean(),
        "position": iotbiz.Position(),
        "temperature": iotbiz.Number("°C", -90.0, 80.0),
    }
    urgent = frozenset(())
    settings_class = Settings
    settings_kinds = {
        "interval": ("interval", iotbiz.Number("s", 10.0, 3600.0)),
    }
    commands = {
        "locate": {},
    }

    def send(
        self,
        *,
        battery: float | None = None,  # %, every 1 h
        lid_open: bool | None = None,  # true or false
        position: tuple[float, float] | None = None,  # latitude and longitude in degrees
        temperature: float | None = None,  # °C, -90 to 80, every 1 min
        **unknown: NoReturn,
    ) -> bool:
        """Sends what was measured now; None is not sent.

        False when a value was refused; the others are sent.
        """
        return self._send(
            {
                "battery": battery,
                "lid_open": lid_open,
                "position": position,
                "temperature": temperature,
            },
            unknown,
        )

    def take_settings(self, wanted: Settings) -> Settings:
        """Yours to override: returns the settings that are in force now."""
        return wanted

    def on_locate(self) -> dict | None:
        """Yours to override: done within 30 s; what is returned is the answer."""
        raise NotImplementedError
