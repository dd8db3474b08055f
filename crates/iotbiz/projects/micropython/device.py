"""Readings, settings and commands of a @kind@: revision @revision@ of the blueprint of @venture@.

`iotbiz connect @device@ --for micropython --update` writes this file again after the blueprint
changed; your own code is in main.py.
"""

import iotbiz


class Settings:
    """Values that may be changed on this device; None is not known yet."""

    def __init__(self):
@settings@


class Device(iotbiz.Connection):
    device = "@device@"
    remedy = (
        "Is there another revision of the blueprint than @revision@? "
        "iotbiz connect @device@ --for micropython --update"
    )
    readings = {
@readings@    }
    urgent = @urgent@
    settings_kinds = {
@settings_kinds@    }
    commands = {
@commands@    }

    def __init__(self, firmware):
        super().__init__(firmware, Settings())

    def send(
        self,
@parameters@        **unknown
    ):
        """Sends what was measured now; None is not sent.

        False when a value was refused; the others are sent.
        """
        return self._send(
            {
@arguments@            },
            unknown,
        )

    def take_settings(self, wanted):
        """Yours to override: returns the settings that are in force now."""
        return wanted
@base_handlers@