"""Readings, settings and commands of a @kind@: revision @revision@ of the blueprint of @venture@.

`iotbiz connect @device@ --for python --update` writes this file again after the blueprint changed;
your own code is in main.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import iotbiz


@dataclass
class Settings:
    """Values that may be changed on this device; None is not known yet."""
@settings@

class Device(iotbiz.Connection):
    device = "@device@"
    remedy = (
        "These are the readings and settings of revision @revision@ of the blueprint; is there "
        "another? iotbiz connect @device@ --for python --update"
    )
    readings = {
@readings@    }
    urgent = frozenset(@urgent@)
    settings_class = Settings
    settings_kinds = {
@settings_kinds@    }
    commands = {
@commands@    }

    def send(
        self,
@parameters@        **unknown: NoReturn,
    ) -> bool:
        """Sends what was measured now; None is not sent.

        False when a value was refused; the others are sent.
        """
        return self._send(
            {
@arguments@            },
            unknown,
        )

    def take_settings(self, wanted: Settings) -> Settings:
        """Yours to override: returns the settings that are in force now."""
        return wanted
@base_handlers@