"""Cases from seeds: each is compared in a folder that goes away, and a failure names its seed."""

import pathlib
import sys
import tempfile

from verdicts import fact


def facts(says, compare, seeds):
    """One fact over all seeds."""
    with tempfile.TemporaryDirectory(prefix="iotbiz-seeded-") as name:
        with fact(says):
            for number in seeds:
                try:
                    compare(pathlib.Path(name), number)
                except AssertionError as error:
                    raise AssertionError(f"seed {number}: {error}") from error


def each(compare):
    """`FILE COUNT SEED`: tells of every seed that differs, in a folder that goes away."""
    count, seed, wrong = int(sys.argv[1]), int(sys.argv[2]), 0
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory(prefix="iotbiz-seeded-") as place:
            try:
                compare(pathlib.Path(place), number)
            except AssertionError as error:
                wrong += 1
                print(number, error)
    print(f"{wrong} of {count} differ")
