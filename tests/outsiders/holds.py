"""`iotbiz rule test` before a second reading of docs/rules.md: random conditions over random readings.

For each seed a blueprint with holds, hysteresis, silence, windows, hours and counters is tried on a table
as people have them: other separators, offsets, milliseconds, missing cells, rows in any order. Times and
kinds of all transitions are compared.
"""

import datetime
import json
import os
import pathlib
import random
import subprocess
from zoneinfo import ZoneInfo

import seeded

BINARY = os.environ.get("IOTBIZ", "iotbiz")
SEED = 20261130
CASES = 120
MINUTE = 60_000
ZONES = ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"]
# Around changes of clocks, and far from any.
STARTS = ["2026-03-28T20:07:00+00:00", "2026-10-24T19:07:00+00:00", "2026-07-01T00:07:00+00:00", "2026-04-04T10:07:00+00:00"]


def instant(text):
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def shown(at, zone="UTC"):
    return datetime.datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).isoformat(timespec="milliseconds")


class Drawn:
    """A random rule and what happened to some devices."""

    def __init__(self, seed):
        chance = self.chance = random.Random(seed)
        self.zone, self.start = chance.choice(ZONES), instant(chance.choice(STARTS))
        self.kind = chance.choice(["level", "level", "silent", "window", "hours", "counter"])
        self.hold, self.clear_hold = chance.choice([0, 0, 5, 12, 45]), chance.choice([0, 0, 7])
        self.high = chance.randint(3, 12)
        self.low = self.high - chance.choice([0, 0, 1, 3])
        self.silence, self.over = chance.choice([15, 30, 90]), chance.choice([30, 60])
        self.function = chance.choice(["avg", "min", "max", "count"])
        self.hours = (chance.randrange(0, 24), chance.randrange(0, 24))
        self.rows = []
        for device in ["a", "b"][: chance.choice([1, 2])]:
            at, value, counted = self.start, 8.0, 990.0
            for _ in range(chance.choice([5, 60, 200])):
                # Between readings a window is looked at now and then: here there is always a reading.
                dense = self.kind in ("window", "counter")
                gap = 1 if dense else chance.choice([1, 1, 1, 2, 5, 20, 50])
                at += gap * MINUTE + (chance.choice([0, 0, 137]) if self.kind in ("level", "silent") else 0)
                value = round(min(max(value + chance.choice([-2, -1, -0.5, 0, 0.5, 1, 2]), -20), 40), 2)
                counted = round(counted + chance.choice([0, 0.5, 1, 2.5]), 2)
                if counted >= 1000:
                    counted -= 1000
                if chance.random() < 0.02:
                    counted = 0.25
                missing = self.kind in ("level", "hours") and chance.random() < 0.05
                self.rows.append((at, device, None if missing else value, counted))
        self.rows.sort(key=lambda row: row[0])
        self.until = max(row[0] for row in self.rows) + chance.choice([0, 200]) * MINUTE

    def condition(self):
        if self.kind == "silent":
            return f"silent({self.silence} min)"
        if self.kind == "window":
            bound = self.over - 5 if self.function == "count" else self.high
            unit = "" if self.function == "count" else " °C"
            return f"{self.function}(temperature, {self.over} min) > {bound}{unit}"
        if self.kind == "counter":
            return f"delta(energy, {self.over} min) > {self.high} kWh"
        return f"temperature > {self.high} °C"

    def blueprint(self):
        more = [f'for = "{self.hold} min"'] if self.hold else []
        if self.kind in ("level", "hours") and self.low != self.high:
            more.append(f'clear = "temperature < {self.low} °C"')
        more += [f'clear_for = "{self.clear_hold} min"'] if self.clear_hold else []
        more += [f'active = "Mo-Su {self.hours[0]:02}:00-{self.hours[1]:02}:00"'] if self.kind == "hours" else []
        return "\n".join([
            "blueprint = 1", 'venture = "trial"', 'title = "Trial"', f'timezone = "{self.zone}"',
            "[device.box.readings]", 'temperature = { unit = "°C", every = "1 min" }',
            'energy = { unit = "kWh", counter = true, rollover = 1000, step_max = 100, every = "1 min" }',
            "[alarm.tried]", 'device = "box"', f"when = '{self.condition()}'", 'severity = "warning"',
            'notify = "operator"', *more]) + "\n"

    def table(self):
        chance = self.chance
        separator, order = chance.choice([",", ",", ";", "\t"]), list(self.rows)
        if chance.random() < 0.3:
            order.sort(key=lambda row: (row[1], row[0]))
        comma = separator != "," and chance.random() < 0.5
        lines = [separator.join(["time", "device", "temperature", "energy"])]
        for at, device, value, counted in order:
            time = chance.choice([str(at), shown(at), shown(at, self.zone)])
            number = lambda n: "" if n is None else str(n).replace(".", ",") if comma else str(n)
            name = f'"{device}"' if chance.random() < 0.2 else device
            lines.append(separator.join([time, name, number(value), number(counted)]))
        ending = chance.choice(["\n", "\r\n"])
        return chance.choice(["", "\ufeff"]) + ending.join(lines) + ending


class Device:
    """What one device goes through, minute by minute where only time can change something."""

    def __init__(self, drawn):
        self.drawn, self.readings, self.counts, self.last = drawn, [], [], None
        self.raised, self.since, self.clearing, self.found = False, None, None, []

    def holds(self, now):
        """True, false, or None: unknown."""
        drawn = self.drawn
        if drawn.kind == "silent":
            return None if self.last is None else now - self.last >= drawn.silence * MINUTE
        if drawn.kind == "counter":
            change = self.change(now)
            return None if change is None else change > drawn.high
        if drawn.kind == "window":
            value = self.window(now)
            bound = drawn.over - 5 if drawn.function == "count" else drawn.high
            return None if value is None else value > bound
        return None if not self.readings else self.readings[-1][1] > drawn.high

    def window(self, now):
        start, function = now - self.drawn.over * MINUTE, self.drawn.function
        inside = [(t, v) for t, v in self.readings if t > start]
        before = [(t, v) for t, v in self.readings if t <= start][-1:]
        if not inside:
            return None
        values = [v for _, v in inside]
        if function != "avg":
            return {"min": min, "max": max, "count": len}[function](values)
        held = [(max(t, start), v) for t, v in before] + inside
        ends = [t for t, _ in held[1:]] + [now]
        span = now - held[0][0]
        return sum(v * (end - t) for (t, v), end in zip(held, ends)) / span if span else values[-1]

    def change(self, now):
        start = now - self.drawn.over * MINUTE
        total, curve = 0.0, []
        for i, (t, v) in enumerate(self.counts):
            if i:
                step = v - self.counts[i - 1][1]
                if step < 0:
                    across = step + 1000
                    minutes = max((t - self.counts[i - 1][0]) / MINUTE, 1)
                    # A rollover is plausible if so much can be counted in that time; else it was reset.
                    step = across if across <= 100 * minutes and across < 500 else 0.0
                total += step
            curve.append((t, total))
        inside = [(t, v) for t, v in curve if t > start]
        before = [(t, v) for t, v in curve if t <= start][-1:]
        if not inside or (not before and len(inside) < 2):
            return None
        base = inside[0][1]
        if before:
            (t, v), (after, to) = before[0], inside[0]
            base = v + (to - v) * (start - t) / (after - t)
        return inside[-1][1] - base

    def clears(self, now):
        drawn = self.drawn
        if drawn.kind in ("level", "hours") and drawn.low != drawn.high:
            return self.readings[-1][1] < drawn.low if self.readings else None
        holds = self.holds(now)
        return None if holds is None else not holds

    def active(self, now):
        if self.drawn.kind != "hours":
            return True
        here = datetime.datetime.fromtimestamp(now / 1000, ZoneInfo(self.drawn.zone))
        (begin, end), hour = self.drawn.hours, here.hour
        return begin <= hour < end if begin < end else hour >= begin or hour < end

    def look(self, now):
        drawn = self.drawn
        if not self.raised:
            holds = self.holds(now)
            if holds is None or holds is False:
                self.since = None
                return
            self.since = now if self.since is None else self.since
            if now - self.since >= drawn.hold * MINUTE and self.active(now):
                self.raised, self.clearing = True, None
                self.found.append((now, "raised"))
        else:
            if not self.clears(now):
                self.clearing = None
                return
            self.clearing = now if self.clearing is None else self.clearing
            if now - self.clearing >= drawn.clear_hold * MINUTE:
                self.raised, self.since = False, None
                self.found.append((now, "cleared"))

    def due(self):
        """When something happens though nothing comes."""
        drawn, times = self.drawn, []
        if not self.raised and self.since is not None:
            times.append(self.since + drawn.hold * MINUTE)
        if self.raised and self.clearing is not None:
            times.append(self.clearing + drawn.clear_hold * MINUTE)
        if drawn.kind == "silent" and not self.raised and self.last is not None and self.since is None:
            times.append(self.last + drawn.silence * MINUTE)
        return min(times, default=None)


def expected(drawn):
    """All raised and cleared of all devices, in order of time."""
    found = []
    for name in sorted({row[1] for row in drawn.rows}):
        device = Device(drawn)
        rows = [row for row in drawn.rows if row[1] == name]
        quarter = 15 * MINUTE
        ticks = range(-(-rows[0][0] // quarter) * quarter, drawn.until + 1, quarter) if drawn.kind == "hours" else []
        events = sorted([(row[0], 1, row) for row in rows] + [(at, 0, None) for at in ticks])
        for at, _, row in events + [(drawn.until, 2, None)]:
            while (due := device.due()) is not None and due <= at and device.last is not None:
                before = (device.raised, device.since, device.clearing)
                device.look(due)
                if before == (device.raised, device.since, device.clearing):
                    break
            if row is not None:
                device.last = at
                if row[2] is not None:
                    device.readings.append((at, row[2]))
                device.counts.append((at, row[3]))
            if row is not None or drawn.kind == "hours":
                device.look(at)
        found += [(at, name, what) for at, what in device.found]
    return sorted(found)


def compare(folder, seed):
    drawn = Drawn(seed)
    (folder / "blueprint.toml").write_text(drawn.blueprint())
    (folder / "readings.csv").write_bytes(drawn.table().encode())
    done = subprocess.run([BINARY, "rule", "test", "blueprint.toml", "readings.csv", "--until", shown(drawn.until), "--json"],
                          cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip()
    steps = [step for step in json.loads(done.stdout)["transitions"] if step["transition"] in ("raised", "cleared")]
    found = sorted((instant(step["time"]), step["device"], step["transition"]) for step in steps)
    if drawn.kind in ("window", "counter"):
        last = {row[1]: row[0] for row in drawn.rows}
        found = [step for step in found if step[0] <= last[step[1]]]
    wanted = [step for step in expected(drawn) if drawn.kind not in ("window", "counter") or step[0] <= last[step[1]]]
    odd = [f"{w} is wanted" for w in wanted if w not in found] + [f"{f} was found" for f in found if f not in wanted]
    assert found == wanted, f"{drawn.kind}: {'; '.join(odd)}"


def facts(count=CASES, seed=SEED):
    seeded.facts(f"rules: {count} random rules raise and clear when a second reading of their words does", compare, range(seed, seed + count))


if __name__ == "__main__":
    seeded.each(compare)
