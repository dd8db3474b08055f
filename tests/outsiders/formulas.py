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


def rates(chance):
    """Rates by construction: flows whose roots were chosen, and days whose rate is known."""
    import numpy

    for _ in range(12):
        count = chance.randint(2, 5)
        wanted = sorted(chance.choice([-0.5, -0.2, 0, 0.1, 0.25, 0.6, 1, 2, 4]) + chance.uniform(0, 0.03) for _ in range(count))
        if min(numpy.diff(wanted)) < 0.02:
            continue
        flows = numpy.array([1000.0])
        for rate in wanted:
            flows = numpy.convolve(flows, [1, -(1 + rate)])
        same(f"irr({texts(flows)})", wanted, 1e-5)
    for days in (1, 7, 100, 14000):
        start = datetime.date(2023, 11, 15)
        until = start + datetime.timedelta(days)
        found = value(f"xirr([-100, 104], [{start}, {until}])")[0]
        assert abs(found / (1.04 ** (365 / days) - 1) - 1) < 1e-9, f"{days} days: {found}"
        # The two columns of a spreadsheet, the later day first.
        assert value(f"xirr([[{until}, 104 EUR], [{start}, -100 EUR]])") == [found]
    shifted = [0.0, 0.0, -10.0, 4.0, 4.0, 4.0]
    same(f"payback({texts(shifted)})", 4 + 2 / 4)
    assert value("irr([1000, -3000, 2500])") == []


def extremes(chance):
    """Where naive formulas lose their digits: very many trials, tiny discounts, large parameters."""
    import numpy
    from scipy import special, stats

    for a, b in ((1e5, 1e5), (1e9, 1e9), (50, 1e8), (0.5, 1e6), (1e-3, 1e-3)):
        for p in (0.001, 0.05, 0.5, 0.95, 0.999):
            same(f"quantile(beta({a!r}, {b!r}), {p})", stats.beta.ppf(p, a, b), 1e-9)
        point = float(stats.beta.ppf(0.3, a, b))
        if 1e-300 < point < 1:
            same(f"cdf(beta({a!r}, {b!r}), {point!r})", stats.beta.cdf(point, a, b))
    for discount in (1e-4, 1e-2, 1):
        for a, b, n in ((0.668, 3.806, 1), (1.5, 3, 2), (20, 5, 4)):
            t = numpy.arange(0, int(40 / math.log1p(discount)) + 10)
            stays = special.betaln(a, b + n + t) - special.betaln(a, b + n - 1)
            same(f"derl({a}, {b}, {n}, {discount!r})", numpy.exp(stays - t * math.log1p(discount)).sum(), 1e-6)
    # Above a = 1 the undiscounted life is finite: (b + n - 1) / (a - 1), and nearly reached here.
    same("derl(4, 3, 2, 1e-8)", 4 / 3, 1e-6)
    for a, b, t in ((1e6, 1e7, 5), (1e8, 1e9, 12)):
        same(f"sbg({a!r}, {b!r}, {t})", numpy.prod([(b + k) / (a + b + k) for k in range(t)]), 1e-12)
    for low, high in ((5, 10), (0.001, 1e6), (1, 1.0001)):
        sigma = math.log(high / low) / 2 / stats.norm.ppf(0.95)
        wide = stats.lognorm(sigma, scale=math.sqrt(low * high))
        same(f"mean({low!r} to {high!r})", wide.mean())
        same(f"quantiles({low!r} to {high!r}, [0.05, 0.95])", [low, high])
    for low, high in ((10, 45), (0.1, 0.2), (50, 51), (99, 99.9)):
        same(f"cdf({low!r} to {high!r} %, {low / 100!r})", 0.05, 1e-6)
        same(f"cdf({low!r} to {high!r} %, {high / 100!r})", 0.95, 1e-6)


def judged(chance):
    """Scores of probabilities and of judges."""
    import numpy
    from scipy import stats

    draws = numpy.random.default_rng(SEED)
    p, outcomes = draws.integers(0, 6, 60) / 5, draws.integers(0, 2, 60)
    found = value(f"brier_parts({texts(p)}, {texts(outcomes)})")
    base, groups = outcomes.mean(), {level: outcomes[p == level] for level in set(p)}
    wanted = {
        "reliability": sum(len(o) * (level - o.mean()) ** 2 for level, o in groups.items()) / 60,
        "resolution": sum(len(o) * (o.mean() - base) ** 2 for o in groups.values()) / 60,
        "uncertainty": base * (1 - base),
    }
    for name, number in wanted.items():
        assert abs(found[name] - number) < 1e-12, f"{name} {found[name]} instead of {number}"
    ranks = draws.integers(1, 5, (4, 6))
    same(f"kendall_w({matrix(ranks)})", stats.friedmanchisquare(*ranks.T)[0] / (4 * 5))
    for _ in range(6):
        bar, good = chance.uniform(0.05, 0.4), chance.uniform(0.5, 0.9)
        z = stats.norm.ppf
        reach = z(0.95) * math.sqrt(bar * (1 - bar)) + z(0.8) * math.sqrt(good * (1 - good))
        same(f"sample_size({bar!r}, {good!r}, 0.95, 0.8)", math.ceil((reach / (good - bar)) ** 2))


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
    # Sobol's g-function: its indices are products of 1 / (3 (1 + a)^2).
    a = (0, 1, 4.5, 9)
    parts = [1 / 3 / (1 + x) ** 2 for x in a]
    whole = numpy.prod([1 + part for part in parts]) - 1
    formula = " * ".join(f"(abs(4 * x{i} - 2) + {x}) / {1 + x}" for i, x in enumerate(a))
    found = value(f"sobol({formula}, " + ", ".join(f"x{i} = uniform(0, 1)" for i in range(4)) + ")")
    alone = [part / whole for part in parts]
    rest = [parts[i] * numpy.prod([1 + parts[j] for j in range(4) if j != i]) / whole for i in range(4)]
    for name, wanted in (("first", alone), ("total", rest)):
        off = numpy.abs(numpy.array(found[name]) - wanted).max()
        assert off < 0.005, f"{name} {found[name]} instead of {wanted}"
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


def fleet(chance):
    """A case made at random, its text and its months by counting place by place."""
    end = chance.choice([2, 7, 12, 24, 37, 60])
    launch, size = chance.choice([1, 2, end]), chance.choice([1, 4, 2.5])
    text = f'[case]\nhorizon = "{end} months"\ndiscount = "9 %/year"\nfleet_size = "{size} devices/customer"\n'
    added = [0.0] * (end + 1)
    if chance.random() < 0.4:
        each = chance.choice([100, 7.5])
        text += f'adoption = {{ added = "{each} devices/month", launch = "month {launch}" }}\n'
        added[launch:] = [each] * (end + 1 - launch)
    else:
        p, q, reachable = chance.uniform(0.005, 0.2), chance.uniform(0.01, 0.8), chance.choice([500, 4000])
        text += f'adoption = {{ bass_p = "{p!r}/year", bass_q = "{q!r}/year", launch = "month {launch}" }}\n'
        text += f'reachable = "{reachable} customers"\nshare = "65 %"\n'
        came = lambda t: (1 - math.exp(-(p + q) / 12 * t)) / (1 + q / p * math.exp(-(p + q) / 12 * t))
        for month in range(launch, end + 1):
            age = month - launch + 1
            added[month] = reachable * 0.65 * size * (came(age) - came(age - 1))
    text, stays, replaced_by_age = wear(chance, text, end)
    base, placed, batteries, left = [0.0] * (end + 1), list(added), [0.0] * (end + 1), [0.0] * (end + 1)
    for start in range(1, end + 1):
        for month in range(start, end + 1):
            age = month - start
            base[month] += added[start] * stays[age]
            placed[month] += added[start] * stays[age] * replaced_by_age[age]
            if age and age % 6 == 0:
                batteries[month] += added[start] * stays[age]
    for month in range(1, end + 1):
        left[month] = base[month - 1] + added[month] - base[month]
    text += '[case.income]\nfee = { each = "9 EUR/device/month", growth = "3 %/year" }\nsetup = "20 EUR/customer"\n[case.cost]\n'
    text += 'bom = { each = "38 EUR/device", volume = { "100" = "36 EUR/device", "1000" = "31 EUR/device" } }\n'
    text += 'battery = { each = "12 EUR/device", every = "6 months" }\nback = { each = "3 EUR/device", per = "left" }\n'
    text += 'cert = { total = "18000 EUR", at = "month 1" }\n'
    cash, total = [], 0.0
    for month in range(end + 1):
        total += placed[month]
        bom = 31 if total >= 1000 else 36 if total >= 100 else 38
        money = 9 * 1.03 ** (month / 12) * base[month] + 20 * added[month] / size - bom * placed[month]
        cash.append(money - 12 * batteries[month] - 3 * left[month] - (18000 if month == 1 else 0))
    return text, cash, base


def wear(chance, text, end):
    """Churn and hardware: who stays, and the share of places that get a new device at an age."""
    stays = [1.0]
    kind = chance.choice(["none", "monthly", "yearly", "sbg"])
    text += {"none": "", "monthly": 'churn = "2 %/month"\n', "yearly": 'churn = "18 %/year"\n', "sbg": 'churn = { alpha = "0.67", beta = "3.8" }\n'}[kind]
    for age in range(1, end + 1):
        keep = {"none": 1, "monthly": 0.98, "yearly": 0.82 ** (1 / 12), "sbg": (3.8 + age - 1) / (0.67 + 3.8 + age - 1)}[kind]
        stays.append(stays[-1] * keep)
    again = [0.0] * (end + 1)
    then = chance.choice(["", "lost", "replaced"])
    if not then:
        return text, stays, again
    shape, scale = chance.choice([1, 1.5, 3]), chance.choice([12, 30, 96])
    text += f'survival = {{ weibull_shape = "{shape}", weibull_scale = "{scale} months", then = "{then}" }}\n'
    works = [math.exp(-((age / scale) ** shape)) for age in range(end + 2)]
    if then == "lost":
        return text, [s * w for s, w in zip(stays, works)], again
    ages = {0: 1.0}
    for month in range(1, end + 1):
        older, failed = {}, 0.0
        for age, share in ages.items():
            keep = works[age + 1] / works[age] if works[age] > 0 else 0.0
            older[age + 1] = share * keep
            failed += share * (1 - keep)
        ages, again[month] = {**older, 0: failed}, failed
    return text, stays, again


def fleets(chance):
    for number in range(25):
        text, cash, base = fleet(chance)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "case.toml")
            path.write_text(text)
            found = run("case", "run", str(path), "--trials", "3")
        worth = sum(money / 1.09 ** (month / 12) for month, money in enumerate(cash))
        assert abs(found["npv"]["mean"] - worth) < 1e-6 * max(1, abs(worth)), f"{number}: {text}"
        for month, (money, devices) in enumerate(zip(cash, base)):
            seen = found["months"][month]
            assert abs(seen["cash"]["p50"] - money) < 1e-6 * max(1, abs(money)), f"{number}, month {month}: {text}"
            assert abs(seen["installed_base"]["p50"] - devices) < 1e-6 * max(1, devices), f"{number}: {text}"


def spreads():
    """A case whose worth is one input: its percentiles are that distribution's."""
    from scipy import stats

    one = '[case]\nhorizon = "1 months"\ndiscount = "0 %/year"\nadoption = {{ added = "1 devices/month" }}\n[case.income]\nx = {{ total = "{}", at = "month 0" }}\n'
    sigma = math.log(2) / 2 / stats.norm.ppf(0.95)
    inputs = {
        "5 to 10 EUR": stats.lognorm(sigma, scale=math.sqrt(50)),
        "-5 to 10 EUR": stats.norm(2.5, 7.5 / stats.norm.ppf(0.95)),
        "normal(100, 3 EUR)": stats.norm(100, 3),
        "pert(2, 4, 12 EUR)": stats.beta(1.8, 4.2, 2, 10),
        "triangular(2, 4, 12 EUR)": stats.triang(0.2, 2, 10),
        "uniform(1, 9 EUR)": stats.uniform(1, 8),
    }
    for written, wanted in inputs.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "case.toml")
            path.write_text(one.format(written))
            npv = run("case", "run", str(path), "--trials", "50000")["npv"]
        for name, p in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95)):
            value = wanted.ppf(p)
            # Four standard errors of an order statistic.
            error = 4 * math.sqrt(p * (1 - p) / 50000) / wanted.pdf(value)
            assert abs(npv[name] - value) < error, f"{written}: {name} {npv[name]} instead of {value}"


def main():
    chance = random.Random(SEED)
    for what, check in [("money over time", money), ("rates that were chosen", rates), ("numbers at their extremes", extremes), ("scores of forecasts", judged), ("adoption and survival", adoption), ("belief and decisions", belief), ("sensitivity and correlation", sensitivity)]:
        with fact(f"formulas: {what} as numpy and scipy have it"):
            check(chance)
    with fact("formulas: the cash of a case as a plain sum has it"):
        months()
    with fact("formulas: 25 fleets made at random, month by month as counting place by place has them"):
        fleets(chance)
    with fact("formulas: the percentiles of a case are those of its input's distribution"):
        spreads()


if __name__ == "__main__":
    main()
    sys.exit(verdicts.failed)
