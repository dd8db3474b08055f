"""Bills of random plans and usages, made again by a second reading of docs/billing.md in plain fractions.

Everything is drawn from a seed: price models, measures, calendars in zones with odd clock changes,
devices that come and go, plans that change in a month, trials, allowances, minima, promises, coupons,
taxes, prepaid credit, currencies with 0, 2 and 3 digits; and usage that is late, doubled, corrected and
in any order. Amounts are compared line by line, to the last digit.

`python3 rating.py COUNT SEED` tries more than the tests do and keeps what differs in /tmp.
"""

import datetime
import json
import math
import os
import pathlib
import random
import subprocess
from fractions import Fraction
from zoneinfo import ZoneInfo

import seeded

BINARY = os.environ.get("IOTBIZ", "iotbiz")
SEED = 20261130
CASES = 300
# Clock changes of an hour, half an hour, two hours and at midnight; a day that did not exist; no change.
ZONES = ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia",
         "Antarctica/Troll", "America/St_Johns", "Africa/Cairo", "Pacific/Chatham", "America/Los_Angeles"]
DIGITS = {"EUR": 2, "JPY": 0, "KWD": 3, "USD": 2}
HOUR = 3_600_000
MONTHS = [(2024, 2), (2026, 3), (2026, 10), (2025, 4), (2026, 11), (2018, 11), (2011, 12), (2024, 4), (2026, 9)]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
BREAKS = {"<": lambda a, b: a < b, ">": lambda a, b: a > b}


def ms(moment):
    return (moment - EPOCH) // datetime.timedelta(milliseconds=1)


def local(zone, at):
    return (EPOCH + datetime.timedelta(milliseconds=at)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def start_of(zone, date):
    """The first instant of a local day, also where midnight or the whole day was skipped."""
    noon = ms(datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.timezone.utc))
    at = noon - 36 * HOUR
    step = 15 * 60_000
    while local(zone, at).date() < date:
        at += step
    return at


def rounded(exact, digits, mode):
    scaled = abs(exact) * 10**digits
    whole, rest = divmod(scaled, 1)
    up = {"half_up": rest >= Fraction(1, 2), "up": rest > 0, "down": False,
          "half_even": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)}[mode]
    return Fraction(int(whole) + up, 10**digits) * (-1 if exact < 0 else 1)


def plain(number, digits=None):
    """A fraction that is a decimal, as text."""
    if digits is None:
        digits = next(d for d in range(40) if (number * 10**d).denominator == 1)
    scaled = int(abs(number) * 10**digits)
    text = str(scaled).rjust(digits + 1, "0")
    sign = "-" if number < 0 and scaled else ""
    return sign + (text if digits == 0 else f"{text[:-digits]}.{text[-digits:]}")


def meet(a, b):
    from_, to = max(a[0], b[0]), min(a[1], b[1])
    return (from_, to) if from_ < to else None


def clipped(pieces, term):
    return [common for piece in pieces if (common := meet(piece, term))]


def inside(pieces, at):
    return any(a <= at < b for a, b in pieces)


class Reference:
    """One case as a hand would rate it."""

    def __init__(self, case):
        self.case = case
        self.zone, self.mode = case["zone"], case["rounding"]
        self.digits = DIGITS[case["currency"]]
        self.slots = {}

    def money(self, exact):
        return rounded(exact, self.digits, self.mode["line"])

    def days(self, from_, to):
        return (local(self.zone, to).date() - local(self.zone, from_).date()).days

    def share(self, term, whole):
        common = meet(term, whole)
        if common is None:
            return Fraction(0)
        if self.case["prorate"] == "none":
            return Fraction(1)
        if self.case["prorate"] == "second":
            return Fraction(common[1] - common[0], whole[1] - whole[0])
        return Fraction(self.days(*common), max(self.days(*whole), 1))

    def slot(self, at):
        here = local(self.zone, at)
        day = 6 if here.date().isoformat() in self.case["holidays"] else here.weekday()
        minute = here.hour * 60 + here.minute
        for name, days, from_, to in self.case["slots"]:
            hours = from_ == to or (from_ <= minute < to if from_ < to else minute >= from_ or minute < to)
            if hours and (not days or day in days):
                return name
        return "other"

    def cut(self, period):
        """The pieces of each slot, found by looking at every quarter of an hour."""
        if period not in self.slots:
            pieces = {}
            for at in range(period[0], period[1], 900_000):
                own = pieces.setdefault(self.slot(at), [])
                if own and own[-1][1] == at:
                    own[-1] = (own[-1][0], at + 900_000)
                else:
                    own.append((at, at + 900_000))
            self.slots[period] = pieces
        return self.slots[period]

    # What was used.

    def readings(self, device, usage):
        rows = [r for r in self.case["truth"] if r["device"] == device]
        if usage["property"] is not None:
            rows = [r for r in rows if r["property"] == usage["property"]]
        return sorted(rows, key=lambda r: r["time"])

    def held(self, rows, pieces, until, holds):
        """Sum over readings of what they hold times milliseconds inside the pieces."""
        total = Fraction(0)
        for row, after in zip(rows, rows[1:] + [None]):
            stretch = (row["time"], min(after["time"] if after else until, until))
            if stretch[0] < stretch[1] and row.get("own", True):
                total += holds(row["value"]) * sum(b - a for a, b in clipped(pieces, stretch))
        return total

    def register(self, rows, swaps, pieces, usage):
        """The running total is built once over everything, then read at the edges."""
        knots, total, last, ratio = [], Fraction(0), None, usage["multiplier"]
        events = [(r["time"], 1, r["value"], r.get("own", True)) for r in rows]
        for swap in swaps:
            # A swap belongs to whose reading comes next.
            later = [e[3] for e in events if e[1] and e[0] >= swap["time"]] or [e[3] for e in events if e[1]][-1:]
            events.append((swap["time"], 0, swap, (later or [True])[0]))
        for at, kind, what, own in sorted(events, key=lambda e: e[:2]):
            now = what if kind else what["last"]
            if last is not None:
                step = now - last
                if step < 0 and -step <= usage["backstep"]:
                    step, now = 0, last
                elif step < 0:
                    across = usage["rollover"] - last + now if usage["rollover"] else -1
                    step = across if usage["rollover"] and 0 <= across * 2 < usage["rollover"] else max(now, 0)
                total += step * ratio if own else 0
            if kind or last is not None:
                knots.append((at, total))
                last = now
            if not kind:
                last = what["first"] if last is not None or any(r["time"] == at for r in rows) else None
                if last is not None and not knots:
                    knots.append((at, total))
                ratio = what["multiplier"] or ratio

        def at(moment):
            before = [k for k in knots if k[0] <= moment]
            after = [k for k in knots if k[0] > moment]
            if not before:
                return Fraction(0)
            passed = moment - before[-1][0]
            if usage["gap"] == "hold" or (not after and usage["gap"] == "linear"):
                return before[-1][1]
            if after:
                part = (after[0][1] - before[-1][1]) * Fraction(passed, after[0][0] - before[-1][0])
            elif passed <= usage["gap_max"]:
                part = Fraction(0)
            else:
                part = usage["gap"] * Fraction(passed, HOUR)
            return before[-1][1] + rounded(part, 9, "half_up")

        return sum((at(b) - at(a) for a, b in pieces), Fraction(0))

    def measured(self, usage, streams, pieces, length, span):
        """(quantity, readings) of streams: (device with its term, rows)."""
        kind, quantity, count, pool, days = usage["measure"], Fraction(0), 0, [], set()
        good, due = Fraction(0), 0
        for device, rows in streams:
            own = clipped(pieces, device["term"])
            here = [r for r in rows if r.get("own", True) and inside(own, r["time"])]
            count += len(here)
            pool += [r["value"] for r in here]
            if kind == "last":
                quantity += here[-1]["value"] if here else 0
            elif kind == "time_weighted":
                quantity += self.held(rows, own, span[1], lambda v: v) / length
            elif kind == "integral":
                quantity += self.held(rows, own, span[1], lambda v: v) / HOUR
            elif kind == "weighted_sum":
                for r in rows:
                    if r.get("own", True) and span[0] <= r["time"] < span[1]:
                        quantity += r["value"] * sum(b - a for a, b in clipped(own, (r["time"], span[1]))) / Fraction(length)
            elif kind == "duration":
                quantity += self.held(rows, own, span[1], lambda v: 1 if v > usage["bound"] else 0) / HOUR
            elif kind == "days_with_reading":
                days |= {(device["name"], local(self.zone, r["time"]).date()) for r in here}
            elif kind == "register":
                quantity += self.register(rows, device["swaps"], own, usage)
            elif kind in ("availability", "on_time"):
                every = usage["every"]
                for piece in own:
                    inner = [r for r in rows if piece[0] <= r["time"] < piece[1]]
                    if kind == "on_time":
                        all_ = (piece[1] - piece[0]) // every
                        due += all_
                        good += len({n for r in inner if (n := (r["time"] - piece[0]) // every) < all_})
                        continue
                    all_ = -(-(piece[1] - piece[0]) // every)
                    due += all_
                    by = {}
                    for r in inner:
                        by.setdefault((r["time"] - piece[0]) // every, []).append(min(max(r["value"], 0), 1))
                    good += all_ - len(by) + sum(sum(v, Fraction(0)) / len(v) for v in by.values())
        if kind in ("availability", "on_time"):
            return (good / due if due else Fraction(1)), count
        pooled = {"count": len, "sum": sum, "unique": lambda p: len(set(p)), "min": lambda p: min(p, default=0),
                  "max": lambda p: max(p, default=0), "average": lambda p: sum(p, Fraction(0)) / len(p) if p else 0,
                  "p95": lambda p: sorted(p)[math.ceil(len(p) * Fraction(95, 100)) - 1] if p else 0,
                  "days_with_reading": lambda _: len(days)}
        if kind in pooled:
            quantity = Fraction(pooled[kind](pool))
        return quantity * usage["scale"], count

    # What it costs.

    def price(self, charge, used, events, group):
        model, of = charge["model"], charge["of"]
        if model == "price":
            return used * of
        if model == "percent":
            return used * of[0] + events * of[1]
        if model == "factor":
            return used * of
        if model == "matrix":
            return used * of.get(group, charge.get("default", 0))
        if model == "time_of_use":
            return used * of[group]
        if model == "package":
            return math.ceil(max(used, 0) / of[0]) * of[1]
        counted = max(used, Fraction(0))
        if charge.get("block"):
            counted = Fraction(math.ceil(counted / charge["block"]))
        lowers = [Fraction(0)] + [t["up_to"] for t in of[:-1]]

        def tier(t, amount):
            whole = t["flat"] + amount * t["unit"]
            return min(whole, t["cap"]) if t["cap"] is not None else whole

        if model == "graduated":
            return sum((tier(t, min(counted, t["up_to"]) - low if t["up_to"] is not None else counted - low)
                        for t, low in zip(of, lowers) if low == 0 or counted > low), Fraction(0))
        reached = [(t, low) for t, low in zip(of, lowers) if t["up_to"] is None or counted <= t["up_to"]]
        if model == "stairstep":
            return reached[0][0]["flat"]
        if charge.get("guard"):
            return min(tier(t, max(counted, low)) for t, low in reached)
        return tier(reached[0][0], counted)

    def allowance(self, charge, billed, period, devices, who):
        free = charge["free"]
        if not free:
            return Fraction(0)
        if free["each"] == "contract":
            return free["quantity"] * self.share(billed, period)
        return sum((free["quantity"] * self.share(common, period) for d in devices
                    if d["name"] and who in (None, d["name"]) and (common := meet(d["term"], billed))), Fraction(0))

    def usage(self, charge, devices, billed, period, lines):
        usage, places = self.case["usages"][charge["usage"]], {}
        slots = self.cut(period) if charge["model"] == "time_of_use" else {None: [period]}
        groups = {}
        for device in devices:
            term = meet(device["term"], billed)
            if term is None:
                continue
            rows = self.readings(device["name"], usage)
            of = lambda row: None if charge["model"] != "matrix" else row["dimensions"].get("region", device["dimensions"].get("region", ""))
            for group in {of(row): None for row in rows}:
                # The readings of other groups still end what those of this one hold.
                own = [{**row, "own": of(row) == group} for row in rows]
                groups.setdefault(group, []).append(({**device, "term": term}, own))
        if not groups and charge["per"] == "contract" and charge["model"] != "matrix":
            groups[None] = []
        apart = charge["per"] == "device" or (charge["free"] or {}).get("pool") == "device"
        for slot, pieces in slots.items():
            length = sum(b - a for a, b in pieces)
            for group, streams in groups.items():
                sets = {None: streams} if not apart else {}
                for device, rows in streams if apart else []:
                    sets.setdefault(device["name"], []).append((device, rows))
                for who, own in sets.items():
                    part = self.measured(usage, own, clipped(pieces, billed), length, billed)
                    key = (who if charge["per"] == "device" else None, slot if slot is not None else group)
                    places.setdefault(key, []).append((who, part))
        found = []
        for (who, group), parts in places.items():
            used = free = Fraction(0)
            for of, (quantity, _) in parts:
                if self.mode["quantity_digits"] is not None:
                    quantity = rounded(quantity, self.mode["quantity_digits"], "half_up")
                used += quantity
                if (charge["free"] or {}).get("pool") == "device":
                    free += min(self.allowance(charge, billed, period, devices, of), max(quantity, 0))
            if charge["free"] and charge["free"]["pool"] == "fleet":
                free = min(self.allowance(charge, billed, period, devices, who), max(used, 0))
            events = sum(count for _, (_, count) in parts)
            amount = self.money(self.price(charge, used - free, events, group))
            if events or amount:
                found.append((charge["name"], "charge", amount))
        lines += found
        first = len(lines) - len(found)
        for bound in charge["bounds"]:
            self.bound(charge["name"], bound, self.share(billed, period), first, lines)

    def bound(self, name, bound, share, first, lines):
        billed = sum((line[2] for line in lines[first:]), Fraction(0))
        agreed = bound["amount"] * share
        if bound["kind_of"] == "minimum" and agreed > billed:
            lines.append((name, "minimum", self.money(agreed - billed)))
        if bound["kind_of"] == "maximum" and agreed < billed:
            lines.append((name, "maximum", self.money(agreed - billed)))
        if bound["kind_of"] == "commitment":
            if billed > agreed and bound["overage"] != 1:
                lines.append((name, "overage", self.money((billed - agreed) * (bound["overage"] - 1))))
            if billed < agreed and bound["true_up"]:
                lines.append((name, "true_up", self.money(agreed - billed)))

    def months(self, period):
        date, found = local(self.zone, period[0]).date().replace(day=1), []
        while start_of(self.zone, date) < period[1]:
            after = (date + datetime.timedelta(32)).replace(day=1)
            found.append((start_of(self.zone, date), start_of(self.zone, after)))
            date = after
        return found

    def fee(self, charge, devices, billed, period):
        terms = [billed] if charge["each"] == "contract" else [c for d in devices if (c := meet(d["term"], billed))]
        if charge["time"] == "day":
            wholes = [(period, Fraction(self.days(*period)))]
        elif charge["time"] == "year" and self.case["cadence"] in ("day", "week"):
            years = sorted({local(self.zone, at).year for at in (period[0], period[1] - 1)})
            begin = lambda year: start_of(self.zone, datetime.date(year, 1, 1))
            wholes = [((begin(year), begin(year + 1)), Fraction(1)) for year in years]
        elif charge["time"] in ("month", "year"):
            wholes = [(month, Fraction(1, 12 if charge["time"] == "year" else 1)) for month in self.months(period)]
        else:
            wholes = [(period, Fraction(1))]
        shares = [self.share(t, whole) * fees for whole, fees in wholes for t in terms if meet(t, whole)]
        if charge["time"] == "day" and self.case["prorate"] == "none":
            begun = lambda t: (local(self.zone, t[1] - 1).date() - local(self.zone, t[0]).date()).days + 1
            shares = [Fraction(begun(t)) for t in terms]
        return [(charge["name"], "charge", self.money(charge["amount"] * sum(shares)))] if any(shares) else []

    # The bill.

    def periods(self):
        case, date = self.case, local(self.zone, self.case["from"]).date()
        cadence = case["cadence"]
        if cadence == "week":
            date -= datetime.timedelta(date.weekday())
        elif cadence != "day":
            span = {"month": 1, "quarter": 3, "year": 12}[cadence]
            date = date.replace(day=1, month=(date.month - 1) // span * span + 1)
        while start_of(self.zone, date) < case["to"]:
            after = date + datetime.timedelta({"day": 1, "week": 7}.get(cadence, 0))
            for _ in range({"month": 1, "quarter": 3, "year": 12}.get(cadence, 0)):
                after = (after + datetime.timedelta(32)).replace(day=1)
            # A day that did not exist is no period.
            if start_of(self.zone, date) < start_of(self.zone, after):
                yield start_of(self.zone, date), start_of(self.zone, after)
            date = after

    def segments(self, period):
        steps = self.case["steps"]
        for (from_, plan), after in zip(steps, steps[1:] + [(self.case["to"], None)]):
            if common := meet((from_, min(after[0], self.case["to"])), period):
                yield common, plan

    def terms(self, span):
        devices = self.case["devices"] + [{"name": "", "from": 0, "to": 1 << 60, "dimensions": {}, "swaps": []}]
        return [{**d, "term": common} for d in devices if (common := meet((d["from"], d["to"]), span))]

    def segment(self, period, span, plan, lines):
        case, first = self.case, len(lines)
        trial = local(self.zone, case["from"])
        ends = case["from"]
        if case["trial"]:
            wanted = trial + datetime.timedelta(case["trial"])
            ends = start_of(self.zone, wanted.date()) if trial.time() == datetime.time() else None
        billed = meet(span, (ends, 1 << 60))
        with_account = self.terms(span)
        devices = [d for d in with_account if d["name"]]
        for charge in case["plans"][plan]:
            if charge["kind"] == "usage" and billed:
                usage = case["usages"][charge["usage"]]
                account = usage["property"] is not None or usage["measure"] not in ("days_with_reading", "on_time")
                of_free = {**charge}
                self.usage(of_free, with_account if account else devices, billed, period, lines)
            elif charge["kind"] == "fee" and billed:
                lines += self.fee(charge, devices, billed, period)
            elif charge["kind"] == "once":
                starts = [case["from"]] if charge["each"] == "contract" else [
                    max(d["from"], case["from"]) for d in case["devices"] if meet((d["from"], d["to"]), (case["from"], case["to"]))]
                count = sum(span[0] <= s < span[1] for s in starts)
                if count:
                    lines.append((charge["name"], "charge", self.money(count * charge["amount"])))
        for charge in case["plans"][plan]:
            if charge["kind"] == "bound" and billed:
                self.bound(charge["name"], charge, self.share(billed, period), first, lines)
        for charge in case["plans"][plan]:
            if charge["kind"] == "promise":
                self.promise(charge, span, with_account, first, lines)

    def promise(self, charge, span, devices, first, lines):
        usage = self.case["usages"][charge["figure"]]
        streams = [(d, rows) for d in devices if (rows := self.readings(d["name"], usage))]
        if not streams:
            return
        figure, _ = self.measured(usage, streams, [span], span[1] - span[0], span)
        broken = [share for bound, share in charge["steps"] if figure < bound]
        if not broken:
            return
        base = sum((amount for name, _, amount in lines[first:] if charge["on"] in (None, name)), Fraction(0))
        credit = min(base * max(broken), base, *([charge["cap"]] if charge["cap"] is not None else []))
        if credit > charge["above"]:
            lines.append((charge["name"], "promise", -self.money(credit)))

    def bill(self, period, grants):
        case, lines, spans = self.case, [], []
        for span, plan in self.segments(period):
            before = len(lines)
            self.segment(period, span, plan, lines)
            spans += [plan] * (len(lines) - before)
        tax_of = {(plan, c["name"]): c["tax"] for plan, charges in case["plans"].items() for c in charges}
        taxed = [(tax_of[plan, name], amount) for plan, (name, _, amount) in zip(spans, lines)]
        for coupon in case["coupons"]:
            of = [(i, line) for i, line in enumerate(lines) if coupon["on"] in (None, line[0]) or line[0] == coupon["on"] or
                  (line[1] == "coupon" and line[3] == coupon["on"])] if coupon["on"] else list(enumerate(lines))
            left = sum((line[2] for _, line in of), Fraction(0))
            off = min(left * coupon["off"] if coupon["kind"] == "share" else coupon["off"], left)
            if off <= 0:
                continue
            classes = {taxed[i][0] for i, _ in of}
            amount = -self.money(off)
            lines.append((coupon["name"], "coupon", amount, coupon["on"]))
            taxed.append((classes.pop() if len(classes) == 1 else None, amount))
        own = {}
        for tax, amount in taxed:
            if tax is not None:
                own[tax] = own.get(tax, Fraction(0)) + amount
        loose = sum((amount for tax, amount in taxed if tax is None), Fraction(0))
        net = sum((amount for _, amount in taxed), Fraction(0))
        assert sum(own.values(), Fraction(0)) + loose == net
        for tax, part in self.spread(loose, sorted(own), own) if own else []:
            own[tax] += part
        gross = net + sum((rounded(base * tax, self.digits, self.mode["tax"]) for tax, base in own.items()), Fraction(0))
        return lines, net, gross

    def spread(self, loose, classes, own):
        """What has no class, in proportion to the others; odd cents go to the largest remainders."""
        weights = [max(own[tax], 0) for tax in classes]
        if not sum(weights):
            weights = [1] + [0] * (len(classes) - 1)
        minor = abs(loose) * 10**self.digits
        exact = [minor * w / sum(weights) for w in weights]
        parts = [int(e) for e in exact]
        order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
        for i in order[: int(minor) - sum(parts)]:
            parts[i] += 1
        sign = -1 if loose < 0 else 1
        return [(tax, Fraction(sign * part, 10**self.digits)) for tax, part in zip(classes, parts)]

    def draws(self, gross, period, grants):
        at, left, found = period[1] - 1, max(gross, 0), []
        usable = [g for g in grants if g["from"] <= at and (g["expires"] is None or at < g["expires"]) and g["left"] > 0]
        for g in sorted(usable, key=lambda g: (g["expires"] or 1 << 62, g["kind"] == "paid", g["name"])):
            used = min(g["left"], left)
            if used:
                g["left"] -= used
                left -= used
                found.append((g["name"], used))
        return found


class Drawn:
    """A random case: as numbers for the reference, and as the two files for the program."""

    def __init__(self, chance):
        self.chance = chance
        self.case = self.terms()
        self.case["usages"] = {f"u{i}": self.usage(i) for i in range(chance.randint(1, 3))}
        self.case["plans"] = {name: self.charges(name) for name in sorted({plan for _, plan in self.case["steps"]})}
        self.case["coupons"] = [self.coupon(i) for i in range(chance.choice([0, 0, 1, 2]))]
        self.case["grants"] = [self.grant(i) for i in range(chance.choice([0, 0, 1, 3]))]
        self.case["truth"], self.lines = self.happened()

    def number(self, low, high, digits=None):
        digits = self.chance.choice([0, 1, 2, 3, 6]) if digits is None else digits
        return Fraction(self.chance.randint(low * 10**digits, high * 10**digits), 10**digits)

    def terms(self):
        chance, zone = self.chance, self.chance.choice(ZONES)
        year, month = chance.choice(MONTHS)
        first = datetime.date(year, month, 1)
        odd = chance.random() < 0.5
        from_ = first + datetime.timedelta(chance.randint(1, 27) if odd else 0)
        to = from_ + datetime.timedelta(chance.randint(3, 75)) if odd else (first + datetime.timedelta(32 * chance.choice([1, 2]))).replace(day=1)
        from_, to = start_of(zone, from_), start_of(zone, to)
        if odd and chance.random() < 0.3:
            to += chance.randint(0, 20) * HOUR
        steps = [(from_, "a")]
        if chance.random() < 0.3:
            steps.append((from_ + (to - from_) // HOUR * chance.randint(20, 80) // 100 * HOUR, "b"))
        devices = []
        for i in range(chance.choice([0, 1, 1, 2, 3])):
            length = (to - from_) // HOUR
            begin = from_ + chance.choice([0, 0, length * chance.randint(5, 60) // 100 * HOUR])
            end = chance.choice([to, to, begin + (to - begin) // HOUR * chance.randint(20, 90) // 100 * HOUR])
            region = chance.choice([{}, {"region": "north"}, {"region": "south"}])
            devices.append({"name": f"box-{i}", "from": begin, "to": end, "dimensions": region, "swaps": []})
        modes = ["half_up", "half_up", "half_even", "up", "down"]
        rounding = {"line": chance.choice(modes), "tax": chance.choice(modes), "quantity_digits": chance.choice([None, None, 0, 3])}
        slots = [(chance.choice(["night", "peak"]), sorted(chance.sample(range(7), chance.choice([0, 0, 2, 5]))),
                  chance.randrange(96) * 15, chance.randrange(96) * 15) for _ in range(chance.choice([1, 2, 3]))]
        # A slot is one key of the text, so its windows stand together.
        order = [name for name, *_ in slots]
        slots.sort(key=lambda slot: order.index(slot[0]))
        holiday = (local(zone, from_) + datetime.timedelta(chance.randint(0, 5))).date().isoformat()
        return {"zone": zone, "currency": chance.choice(["EUR", "EUR", "JPY", "KWD", "USD"]), "from": from_, "to": to,
                "steps": steps, "devices": devices, "rounding": rounding, "slots": slots, "holidays": [holiday],
                "prorate": chance.choice(["day", "day", "second", "none"]), "cadence": chance.choice(["month", "month", "month", "month", "quarter", "week", "day", "year"]),
                "trial": chance.choice([0, 0, 0, 7, 30])}

    def usage(self, index):
        chance = self.chance
        measure = chance.choice(["count", "sum", "sum", "sum", "min", "max", "average", "unique", "p95", "last", "time_weighted",
                                 "integral", "weighted_sum", "duration", "days_with_reading", "register", "register", "register"])
        usage = {"measure": measure, "property": f"p{index}", "scale": chance.choice([Fraction(1), Fraction(1, 1000), Fraction(5, 2)])}
        if measure == "days_with_reading":
            usage.update(property=None, scale=Fraction(1))
        if measure == "duration":
            usage["bound"] = self.number(0, 60)
        if measure == "register":
            usage.update(rollover=chance.choice([None, Fraction(1000), Fraction(5000)]), backstep=chance.choice([0, 0, Fraction(2)]),
                         multiplier=chance.choice([Fraction(1), Fraction(40), Fraction(1, 10)]), gap_max=6 * HOUR,
                         gap=chance.choice(["hold", "hold", "linear", Fraction(2, 5)]))
            for device in self.case["devices"] if chance.random() < 0.3 else []:
                at = device["from"] + (device["to"] - device["from"]) // HOUR * chance.randint(10, 90) // 100 * HOUR + 1000
                device["swaps"] = [{"time": at, "last": self.number(0, 1000), "first": self.number(0, 9), "multiplier": chance.choice([None, Fraction(20)])}]
        return usage

    def charges(self, plan):
        chance, charges = self.chance, []
        counted = [name for name, usage in self.case["usages"].items() if "every" not in usage]
        for i, usage in enumerate(counted):
            charges.append(self.usage_charge(f"{plan}_use{i}", usage))
        if chance.random() < 0.5:
            charges.append({"kind": "fee", "name": f"{plan}_fee", "amount": self.number(0, 150), "each": chance.choice(["contract", "device"]),
                            "time": chance.choice(["period", "day", "month", "year"])})
        if chance.random() < 0.3:
            charges.append({"kind": "once", "name": f"{plan}_setup", "amount": self.number(0, 60), "each": chance.choice(["contract", "device"])})
        if chance.random() < 0.3:
            charges.append({"kind": "bound", "name": f"{plan}_bound", **self.bound()})
        if chance.random() < 0.3:
            name = f"{plan}_kept"
            kind = chance.choice(["availability", "on_time"])
            self.case["usages"][name] = {"measure": kind, "property": "p0", "scale": Fraction(1), "every": chance.choice([1, 6, 24]) * HOUR}
            steps = sorted(((self.number(50, 100, 1) / 100, self.number(1, 60, 0) / 100) for _ in range(chance.choice([1, 3]))), reverse=True)
            charges.append({"kind": "promise", "name": f"{plan}_promise", "figure": name, "steps": steps, "on": chance.choice([None, charges[0]["name"]]),
                            "cap": chance.choice([None, self.number(0, 20)]), "above": chance.choice([Fraction(0), Fraction(1)])})
        for charge in charges:
            charge["tax"] = chance.choice([Fraction(19, 100), Fraction(19, 100), Fraction(7, 100), Fraction(825, 10000)])
        return charges

    def bound(self):
        kind = self.chance.choice(["minimum", "maximum", "commitment"])
        return {"kind_of": kind, "amount": self.number(0, 200)} | (
            {"overage": self.chance.choice([Fraction(1), Fraction(3, 2)]), "true_up": self.chance.random() < 0.5} if kind == "commitment" else {})

    def tiers(self, flat_only):
        chance = self.chance
        bounds = sorted({self.number(1, 400) for _ in range(chance.randint(0, 4))})
        tier = lambda up: {"up_to": up, "unit": Fraction(0) if flat_only else chance.choice([Fraction(0), self.number(0, 3)]),
                           "flat": self.number(0, 50) if flat_only else chance.choice([Fraction(0), Fraction(0), self.number(0, 50)]),
                           "cap": None if flat_only else chance.choice([None, None, None, self.number(0, 30)])}
        return [tier(up) for up in bounds] + [tier(None)]

    def usage_charge(self, name, usage):
        chance = self.chance
        model = chance.choice(["price", "graduated", "volume", "stairstep", "package", "percent", "factor", "matrix", "time_of_use"])
        charge = {"kind": "usage", "name": name, "usage": usage, "model": model, "per": chance.choice(["contract", "contract", "device"]),
                  "free": None, "bounds": []}
        if model in ("graduated", "volume", "stairstep"):
            charge["of"], charge["guard"] = self.tiers(model == "stairstep"), model == "volume" and chance.random() < 0.4
            charge["block"] = chance.choice([None, None, Fraction(10), Fraction(1, 4)])
        elif model == "package":
            charge["of"] = (self.number(0, 50) + Fraction(1, 8), self.number(0, 20))
        elif model == "percent":
            charge["of"] = (self.number(0, 20) / 100, chance.choice([Fraction(0), Fraction(1, 10)]))
        elif model == "matrix":
            charge.update(of={"north": self.number(0, 3), "south": self.number(0, 3)}, default=self.number(0, 2))
        elif model == "time_of_use":
            charge["of"] = {slot: self.number(0, 3) for slot in sorted({s[0] for s in self.case["slots"]} | {"other"})}
        else:
            charge["of"] = self.number(0, 5)
        if model not in ("matrix", "time_of_use") and chance.random() < 0.4:
            each = "device" if charge["per"] == "device" else chance.choice(["contract", "device"])
            pool = "device" if charge["per"] == "device" else "fleet" if each == "contract" else chance.choice(["fleet", "device"])
            charge["free"] = {"quantity": self.number(1, 100), "each": each, "pool": pool}
        order = ["commitment", "minimum", "maximum"]
        bounds = [self.bound() for _ in range(chance.choice([0, 0, 0, 1, 2]))]
        own = {bound["kind_of"]: {**bound, "kind": bound["kind_of"]} for bound in bounds}
        charge["bounds"] = [own[kind] for kind in order if kind in own]
        return charge

    def coupon(self, index):
        name = next(iter(self.case["plans"].values()))[0]["name"]
        kind = self.chance.choice(["share", "amount"])
        off = self.number(1, 60, 1) / 100 if kind == "share" else self.number(1, 30, 0)
        return {"name": f"coupon{index}", "kind": kind, "off": off, "on": self.chance.choice([None, None, name])}

    def grant(self, index):
        case, chance = self.case, self.chance
        expires = chance.choice([None, case["from"] + 40 * 24 * HOUR, case["to"] + 90 * 24 * HOUR])
        return {"name": f"grant{index}", "kind": chance.choice(["paid", "free"]), "from": 0, "expires": expires,
                "left": self.number(1, 60, 0)}

    def happened(self):
        """What was true, and the lines that say it: doubled, corrected, in any order."""
        case, chance, truth, lines = self.case, self.chance, [], []
        for usage in [u for u in case["usages"].values() if u["property"] and u["measure"] not in ("availability", "on_time")]:
            rising = usage["measure"] == "register"
            for who in [d["name"] for d in case["devices"]] + [""] * (not case["devices"] or chance.random() < 0.3):
                at, value = case["from"] - 30 * HOUR, self.number(0, 900, 2)
                for _ in range(chance.choice([0, 1, 5, 25])):
                    at += chance.randint(1, 160) * 900_000 + chance.choice([0, 0, 1])
                    step = self.number(0, 60)
                    value = value + step if rising else self.number(-20 if chance.random() < 0.1 else 0, 120)
                    if rising and chance.random() < 0.1:
                        value = chance.choice([self.number(0, 20), max(value - 1, Fraction(0))])
                    if rising and usage["rollover"] and value >= usage["rollover"]:
                        value -= usage["rollover"]
                    region = chance.choice([{}, {"region": "north"}, {"region": "south"}]) if not rising else {}
                    row = {"device": who, "property": usage["property"], "time": at, "value": value, "dimensions": region}
                    truth.append(row)
                    lines += self.said(row, len(truth))
        return truth, lines

    def said(self, row, number):
        chance, case = self.chance, self.case
        line = {"contract": "c", "property": row["property"], "time": row["time"], "value": plain(row["value"])}
        if row["device"]:
            line["device"] = row["device"]
        if row["dimensions"]:
            line["dimensions"] = row["dimensions"]
        if chance.random() < 0.5:
            line["time"] = (EPOCH + datetime.timedelta(milliseconds=row["time"])).astimezone(ZoneInfo(case["zone"])).isoformat()
        if chance.random() < 0.2:
            line["value"] = float(row["value"])
        if chance.random() < 0.2:
            line["id"], line["source"] = f"e{number}", "desk"
        copies = [line] * chance.choice([1, 1, 1, 2])
        if "id" not in line and chance.random() < 0.1:
            return [("before", {**line, "value": plain(self.number(0, 50))})] + [("after", copy) for copy in copies]
        return [("after", copy) for copy in copies]

    # The two files.

    def usage_text(self):
        before = [json.dumps(line) for when, line in self.lines if when == "before"]
        after = [json.dumps(line) for when, line in self.lines if when == "after"]
        self.chance.shuffle(after)
        return "\n".join(before + after) + "\n"

    def money(self, number, per=""):
        return f'"{plain(number)} {self.case["currency"]}{per}"'

    def charge_text(self, charge):
        money = self.money
        tax = f'tax = "{plain(charge["tax"] * 100)} %"'
        if charge["kind"] == "fee":
            per = {"period": ""}.get(charge["time"], f"/{charge['time']}")
            return f'flat = {money(charge["amount"], ("/device" if charge["each"] == "device" else "") + per)}, {tax}'
        if charge["kind"] == "once":
            return f'once = {money(charge["amount"], "/device" if charge["each"] == "device" else "")}, {tax}'
        if charge["kind"] == "bound":
            return f"{self.bound_text(charge)}, {tax}"
        if charge["kind"] == "promise":
            steps = ", ".join(f'{{ give = "{plain(s * 100)} %", when = "{charge["figure"]} < {plain(b * 100)} %" }}' for b, s in charge["steps"])
            more = f', on = "{charge["on"]}"' if charge["on"] else ""
            more += f', cap = {money(charge["cap"])}' if charge["cap"] is not None else ""
            return f'credit = [{steps}], above = {money(charge["above"])}{more}, {tax}'
        parts = [f'usage = "{charge["usage"]}"', self.model_text(charge), tax]
        if charge["per"] == "device":
            parts.append('per = "device"')
        if charge["free"]:
            free = charge["free"]
            parts.append(f'free = "{plain(free["quantity"])}{" x/device" if free["each"] == "device" else ""}", pool = "{free["pool"]}"')
        return ", ".join(parts + [self.bound_text(bound) for bound in charge["bounds"]])

    def bound_text(self, bound):
        if bound["kind_of"] != "commitment":
            return f'{bound["kind_of"]} = {self.money(bound["amount"])}'
        return (f'commitment = {{ amount = {self.money(bound["amount"])}, overage = {plain(bound["overage"])}, '
                f'true_up = {str(bound["true_up"]).lower()} }}')

    def model_text(self, charge):
        money, model, of = self.money, charge["model"], charge["of"]
        if model in ("graduated", "volume", "stairstep"):
            tiers = []
            for tier in of:
                keys = [f'up_to = "{plain(tier["up_to"])}"'] if tier["up_to"] is not None else []
                keys += [f'flat = {money(tier["flat"])}'] if tier["flat"] or model == "stairstep" else []
                keys += [f'price = {money(tier["unit"])}'] if tier["unit"] else []
                keys += [f'cap = {money(tier["cap"])}'] if tier["cap"] is not None else []
                tiers.append("{ " + ", ".join(keys) + " }")
            more = ", never_more_for_less = true" if charge["guard"] else ""
            more += f', block = "{plain(charge["block"])}"' if charge["block"] else ""
            return f'{model} = [{", ".join(tiers)}]{more}'
        if model == "package":
            return f'package = {{ size = "{plain(of[0])}", price = {money(of[1])} }}'
        if model == "percent":
            return f'percent = "{plain(of[0] * 100)} %", fixed = {money(of[1])}'
        if model == "factor":
            return f'factor = "{plain(of)}"'
        if model == "matrix":
            prices = ", ".join(f"{key} = {money(price)}" for key, price in of.items())
            return f'matrix = {{ by = ["region"], prices = {{ {prices} }}, default = {money(charge["default"])} }}'
        if model == "time_of_use":
            return 'time_of_use = { calendar = "grid", ' + ", ".join(f"{slot} = {money(price)}" for slot, price in of.items()) + " }"
        return f"price = {money(of)}"

    def plan_text(self):
        case, at = self.case, lambda t: f'"{(EPOCH + datetime.timedelta(milliseconds=t)).isoformat()}"'
        r = case["rounding"]
        digits = f', quantity_digits = {r["quantity_digits"]}' if r["quantity_digits"] is not None else ""
        out = [f'currency = "{case["currency"]}"', f'timezone = "{case["zone"]}"', f'period = "{case["cadence"]}"', f'prorate = "{case["prorate"]}"',
               f'rounding = {{ line = "{r["line"]}", tax = "{r["tax"]}"{digits} }}']
        for name, usage in case["usages"].items():
            out += [f"[usage.{name}]", f'measure = "{usage["measure"]}"', 'unit = "x"', f'scale = "{plain(usage["scale"])}"']
            out += [f'property = "{usage["property"]}"'] if usage["property"] else []
            out += [f'when = "{usage["property"]} > {plain(usage["bound"])}"'] if usage["measure"] == "duration" else []
            out += [f'{"interval" if usage["measure"] == "availability" else "every"} = "{usage["every"] // HOUR} h"'] if "every" in usage else []
            if usage["measure"] == "register":
                gap = usage["gap"] if isinstance(usage["gap"], str) else f'{plain(usage["gap"])} x/h'
                out += [f'gap = "{gap}"', 'gap_max = "6 h"', f'multiplier = "{plain(usage["multiplier"])}"', f'backstep_max = "{plain(Fraction(usage["backstep"]))}"']
                out += [f'rollover = "{plain(usage["rollover"])}"'] if usage["rollover"] else []
        out += ["[calendar.grid]", 'default = "other"', f"holidays = {json.dumps(case['holidays'])}"]
        names, clock = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], lambda m: f"{m // 60:02}:{m % 60:02}"
        rules = {}
        for slot, days, from_, to in case["slots"]:
            of = f'days = "{", ".join(names[d] for d in days)}", ' if days else ""
            rules.setdefault(slot, []).append(f'{{ {of}hours = "{clock(from_)}-{clock(to)}" }}')
        out += [f"{slot} = [{', '.join(texts)}]" for slot, texts in rules.items()]
        for name, charges in case["plans"].items():
            out += [f"[plan.{name}]"] + ([f'trial = "{case["trial"]} days"'] if case["trial"] else [])
            out += [f'{charge["name"]} = {{ {self.charge_text(charge)} }}' for charge in charges]
        for coupon in case["coupons"]:
            off = f'"{plain(coupon["off"] * 100)} %"' if coupon["kind"] == "share" else self.money(coupon["off"])
            out += [f"[coupon.{coupon['name']}]", f"off = {off}"] + ([f'on = "{coupon["on"]}"'] if coupon["on"] else [])
        out += ["[contract.c]", f"from = {at(case['from'])}", f"to = {at(case['to'])}", 'plan = "a"']
        out += [f"coupons = {json.dumps([c['name'] for c in case['coupons']])}"]
        if len(case["steps"]) > 1:
            out += [f"changes = [{{ from = {at(case['steps'][1][0])}, plan = \"b\" }}]"]
        for grant in case["grants"]:
            expires = f", expires = {at(grant['expires'])}" if grant["expires"] else ""
            out += [f'prepaid.{grant["name"]} = {{ amount = {self.money(grant["left"])}, kind = "{grant["kind"]}"{expires} }}']
        for device in case["devices"]:
            swaps = ", ".join(f'{{ time = {at(s["time"])}, last = "{plain(s["last"])}", first = "{plain(s["first"])}"' +
                              (f', multiplier = "{plain(s["multiplier"])}"' if s["multiplier"] else "") + " }" for s in device["swaps"])
            region = f', dimensions = {{ region = "{device["dimensions"]["region"]}" }}' if device["dimensions"] else ""
            out += [f"devices.{device['name']} = {{ from = {at(device['from'])}, to = {at(device['to'])}{region}, swaps = [{swaps}] }}"]
        return "\n".join(out) + "\n"


def compare(folder, seed):
    """One case: every line, sum, tax and draw of every period."""
    drawn = Drawn(random.Random(seed))
    case, reference = drawn.case, Reference(drawn.case)
    (folder / "plan.toml").write_text(drawn.plan_text())
    (folder / "usage.jsonl").write_text(drawn.usage_text())
    done = subprocess.run([BINARY, "bill", "rate", "plan.toml", "usage.jsonl", "--json"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip()
    rated = json.loads(done.stdout)
    assert not rated["quarantine"], rated["quarantine"][0]
    bills = next((c["bills"] for c in rated["contracts"] if c["contract"] == "c"), [])
    grants, text = [dict(g) for g in case["grants"]], lambda amount: plain(amount, reference.digits)
    periods = list(reference.periods())
    assert len(bills) == len(periods), f"{len(bills)} periods instead of {len(periods)}"
    for bill, period in zip(bills, periods):
        lines, net, gross = reference.bill(period, grants)
        wanted = sorted((line[0], line[1], text(line[2])) for line in lines)
        found = sorted((line["charge"], line["part"], line["amount"]) for line in bill["lines"])
        odd = [f"{w} is wanted" for w in wanted if w not in found] + [f"{f} was found" for f in found if f not in wanted]
        assert wanted == found, f"{bill['from']}: {'; '.join(odd)}"
        assert (bill["net"], bill["gross"]) == (text(net), text(gross)), f"{bill['from']}: net, gross {bill['net']}, {bill['gross']} instead of {text(net)}, {text(gross)}"
        draws = [(name, text(used)) for name, used in reference.draws(gross, period, grants)]
        assert [(d["grant"], d["amount"]) for d in bill["prepaid"]] == draws, f"{bill['prepaid']} instead of {draws}"
    return case


def facts(count=CASES, seed=SEED):
    seeded.facts(f"rating: {count} random plans and usages are billed to the last digit", compare, range(seed, seed + count))


if __name__ == "__main__":
    seeded.each(compare)
