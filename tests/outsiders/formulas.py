"""The formulas of `iotbiz eval` and the months of `iotbiz case run`, made again with numpy and scipy
and by plain sums. Inputs come from a fixed seed; nothing here shares code with the program.

scipy is large, so it has an environment of its own: `facts` starts this file there.
"""

import datetime
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

from verdicts import fact
import verdicts

SEED = 11
BINARY = os.environ.get("IOTBIZ", "iotbiz")


def facts():
    """Runs this file with the Python that has scipy; its lines count."""
    done = subprocess.run([os.environ["FORMULAS_PYTHON"], __file__], timeout=600)
    verdicts.failed += done.returncode


def run(*arguments):
    done = subprocess.run([BINARY, *arguments, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip()
    return json.loads(done.stdout)


def value(formula):
    return run("eval", formula)["value"]


def texts(numbers):
    return "[" + ", ".join(repr(float(number)) for number in numbers) + "]"


def matrix(rows):
    return "[" + ", ".join(texts(row) for row in rows) + "]"


def same(formula, wanted, tolerance=1e-7):
    import numpy

    found = numpy.array(value(formula), dtype=float).ravel()
    wanted = numpy.array(wanted, dtype=float).ravel()
    assert found.shape == wanted.shape, f"{formula}: {found} instead of {wanted}"
    off = numpy.abs(found - wanted) / numpy.maximum(1, numpy.abs(wanted))
    assert off.max() <= tolerance, f"{formula}: {found} instead of {wanted}"


def money(chance):
    import numpy
    from scipy import optimize

    for _ in range(6):
        rate = chance.uniform(-0.3, 0.4)
        flows = [round(chance.uniform(-9e3, 9e3), 2) for _ in range(chance.randint(3, 12))]
        same(f"npv({rate!r}, {texts(flows)})", sum(f / (1 + rate) ** (i + 1) for i, f in enumerate(flows)))
        if min(flows) < 0 < max(flows):
            roots = numpy.roots(flows[::-1])
            rates = sorted(1 / v.real - 1 for v in roots if abs(v.imag) < 1e-9 and v.real > 1e-9)
            same(f"irr({texts(flows)})", rates, 1e-6)
    same("irr([-1000, 3600, -4310, 1716])", [0.1, 0.2, 0.3], 1e-6)
    for _ in range(3):
        first = datetime.date(2024, chance.randint(1, 12), chance.randint(1, 28))
        days = [first] + sorted(first + datetime.timedelta(chance.randint(10, 2000)) for _ in range(5))
        flows = [-10000] + [round(chance.uniform(1000, 4000), 2) for _ in range(5)]
        years = [(day - first).days / 365 for day in days]
        dates = "[" + ", ".join(day.isoformat() for day in days) + "]"
        worth = lambda rate: sum(f / (1 + rate) ** t for f, t in zip(flows, years))
        same(f"xnpv(0.09, {texts(flows)}, {dates})", worth(0.09))
        same(f"xirr({texts(flows)}, {dates})", optimize.brentq(worth, -0.9, 5), 1e-6)
        back = sum(f * 1.12 ** (5 - i) for i, f in enumerate(flows) if f > 0)
        same(f"mirr({texts(flows)}, 0.1, 0.12)", (back / 10000) ** 0.2 - 1)
    for _ in range(3):
        margin, stays, discount = chance.uniform(1, 50), chance.uniform(0.7, 0.99), chance.uniform(0.005, 0.1)
        endless = sum(margin * (stays / (1 + discount)) ** t for t in range(1, 20000))
        same(f"clv({margin!r}, {stays!r}, {discount!r})", endless)


def adoption(chance):
    from scipy import special, stats

    for _ in range(3):
        p, q, m = chance.uniform(0.002, 0.05), chance.uniform(0.1, 0.7), chance.randint(500, 50000)
        decay = [math.exp(-(p + q) * t) for t in range(1, 7)]
        same(f"bass_series({p!r}, {q!r}, {m}, 6)", [m * (1 - d) / (1 + q / p * d) for d in decay])
        a, b = chance.uniform(0.3, 3), chance.uniform(1, 9)
        stay = lambda t: math.exp(special.betaln(a, b + t) - special.betaln(a, b))
        same(f"sbg({a!r}, {b!r}, 7)", stay(7))
        rest = sum(stay(t) / stay(2) / 1.1 ** (t - 3) for t in range(3, 3000))
        same(f"derl({a!r}, {b!r}, 3, 0.1)", rest, 1e-5)
        shape, scale, age = chance.uniform(0.5, 4), chance.uniform(10, 200), chance.uniform(1, 300)
        same(f"weibull({shape!r}, {scale!r}, {age!r})", stats.weibull_min.sf(age, shape, scale=scale))


def belief(chance):
    import numpy
    from scipy import stats

    for weight in (1, 0.5, 0.3):
        asked = chance.randint(5, 300)
        did, bar = chance.randint(0, asked), chance.uniform(0.05, 0.9)
        a, b = 1.5 + weight * did, 2.5 + weight * (asked - did)
        found = value(f"beta_update({did}, {asked}, {bar!r}, {weight}, 1.5, 2.5)")
        wanted = {"p5": stats.beta.ppf(0.05, a, b), "p95": stats.beta.ppf(0.95, a, b), "probability": stats.beta.sf(bar, a, b)}
        for name, number in wanted.items():
            assert abs(found[name] - number) < 1e-7, f"{name} {found[name]} instead of {number}"
    draws = numpy.random.default_rng(SEED)
    for states in (2, 3, 4):
        p, payoffs = draws.dirichlet(numpy.ones(states)), draws.normal(0, 10, (3, states)).round(2)
        signals = draws.dirichlet(numpy.ones(2), states).T
        now = max(payoffs @ p)
        same(f"evpi({matrix(payoffs)}, {texts(p)})", sum(p * payoffs.max(0)) - now)
        informed = sum(max(payoffs @ (p * signal)) for signal in signals)
        same(f"evsi({matrix(payoffs)}, {texts(p)}, {matrix(signals)})", informed - now)
    p, outcomes = draws.random(30), draws.integers(0, 2, 30)
    same(f"brier({texts(p)}, {texts(outcomes)})", numpy.mean((p - outcomes) ** 2))
    found = value("frechet(0.9, 0.85, 0.95, 0.7)")
    assert abs(found["low"] - 0.4) < 1e-12 and found["high"] == 0.7, found


def sensitivity(chance):
    import numpy
    from scipy import stats

    inputs = ", ".join(f"{name} = uniform(-3.141592653589793, 3.141592653589793)" for name in "abc")
    found = value(f"sobol(sin(a) + 7 * sin(b)^2 + 0.1 * c^4 * sin(a), {inputs})")
    for name, wanted in (("first", [0.313905, 0.442411, 0]), ("total", [0.557589, 0.442411, 0.243684])):
        off = numpy.abs(numpy.array(found[name]) - wanted).max()
        assert off < 0.01, f"{name} {found[name]}"
    draws = numpy.random.default_rng(SEED)
    x, y = draws.lognormal(0, 1, 400), draws.normal(0, 1, 400)
    columns = value(f"iman_conover([{texts(x)}, {texts(y)}], [[1, 0.6], [0.6, 1]])")
    assert sorted(columns[0]) == sorted(x) and sorted(columns[1]) == sorted(y), "marginals were changed"
    rho = stats.spearmanr(*columns)[0]
    assert abs(rho - 6 / math.pi * math.asin(0.3)) < 0.03, f"rank correlation {rho}"


CASE = """[case]
horizon = "24 months"
discount = "9 %/year"
fleet_size = "4 devices/customer"
adoption = { added = "100 devices/month" }
churn = "2 %/month"
[case.income]
fee = "9 EUR/device/month"
setup = "20 EUR/customer"
[case.cost]
bom = "35 EUR/device"
rent = "500 EUR/month"
cert = { total = "18000 EUR", at = "month 0" }
battery = { each = "12 EUR/device", every = "6 months" }
[case.cost.data]
fixed = "0.40 EUR/device/month"
data = "0.02 EUR/MB"
sessions = "24/device/day"
payload = "1 kB"
increment = "10 kB"
"""


def months():
    monthly = 1.09 ** (1 / 12) - 1
    worth, base, cash = 0.0, 0.0, [-18000.0]
    for t in range(1, 25):
        base = sum(100 * 0.98 ** (t - start) for start in range(1, t + 1))
        swaps = sum(12 * 100 * 0.98**age for age in range(6, t, 6))
        cash.append(9 * base + 20 * 25 - 35 * 100 - 500 - (0.40 + 0.02 * 7.2) * base - swaps)
    worth = sum(money / (1 + monthly) ** t for t, money in enumerate(cash))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "case.toml")
        path.write_text(CASE)
        found = run("case", "run", str(path), "--trials", "10")
    assert abs(found["npv"]["mean"] - worth) < 1e-6, f"{found['npv']['mean']} instead of {worth}"
    assert abs(found["months"][24]["installed_base"]["p50"] - base) < 1e-9


def main():
    chance = random.Random(SEED)
    for what, check in [("money over time", money), ("adoption and survival", adoption), ("belief and decisions", belief), ("sensitivity and correlation", sensitivity)]:
        with fact(f"formulas: {what} as numpy and scipy have it"):
            check(chance)
    with fact("formulas: the cash of a case as a plain sum has it"):
        months()


if __name__ == "__main__":
    main()
    sys.exit(verdicts.failed)
