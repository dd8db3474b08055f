"""Readings, settings and commands of a box: revision 3 of the blueprint of coolbox.

`iotbiz connect box-0001 --for micropython --update` writes this file again after the blueprint
changed; your own code is in main.py.
"""

import iotbiz


class Settings:
    """Values that may be changed on this device; None is not known yet."""

    def __init__(self):
        self.interval = 60.0  # s, 10 to 3600



class Device(iotbiz.Connection):
    device = "box-0001"
    remedy = (
        "Is there another revision of the blueprint than 3? "
        "iotbiz connect box-0001 --for micropython --update"
    )
    readings = {
        "battery": iotbiz.Number("%", None, None),
        "lid_open": iotbiz.Boolean(),
        "position": iotbiz.Position(),
        "temperature": iotbiz.Number("°C", -90.0, 80.0),
    }
    urgent = ()
    settings_kinds = {
        "interval": ("interval", iotbiz.Number("s", 10.0, 3600.0)),
    }
    commands = {
        "locate": {},
    }

    def __init__(self, firmware):
        super().__init__(firmware, Settings())

    def send(
        self,
        *,
        battery=None,  # %, every 1 h
        lid_open=None,  # true or false
        position=None,  # latitude and longitude in degrees
        temperature=None,  # °C, -90 to 80, every 1 min
        **unknown
    ):
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

    def take_settings(self, wanted):
        """Yours to override: returns the settings that are in force now."""
        return wanted

    def on_locate(self):
        """Yours to override: done within 30 s; what is returned is the answer."""
        raise NotImplementedError("on_locate is not written yet")
