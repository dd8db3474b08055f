"""History as others see it: Influx's own client writes, deltalake and DuckDB count the same rows after
each stop in order, with kills in between, and before, during and after the files are merged.

These clients need pyarrow's weight, so they have an environment of their own: `facts` starts this file
there.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

from server import Server
from verdicts import eventually, fact
import verdicts

FIRST = 1_795_608_000
ROUNDS = 4
ROWS = 500
MERGE_SECONDS_MAX = 120


def facts():
    """Runs this file with the Python that has the readers; its lines count."""
    done = subprocess.run([os.environ["LAKE_PYTHON"], __file__], timeout=600)
    verdicts.failed += done.returncode


def table(server):
    """The folder of the one table, once there is one."""
    logs = list(pathlib.Path(server.data, "lake").glob("**/_delta_log"))
    return str(logs[0].parent) if logs else None


def counted_by_delta(path):
    import deltalake

    return deltalake.DeltaTable(path).to_pyarrow_table().num_rows


def counted_by_duckdb(path):
    """The files that the Delta log names, read by another program."""
    import deltalake
    import duckdb

    files = deltalake.DeltaTable(path).file_uris()
    return duckdb.sql(f"SELECT count(*) FROM read_parquet({files!r})").fetchall()[0][0]


def kept(server):
    """Rows of an export: files and memory."""
    return server.command("export", "--kind", "probe").count("\n") - 2


def versions(path):
    """The actions of each version of the Delta log."""
    names = sorted(pathlib.Path(path, "_delta_log").glob("*.json"))
    return {int(one.stem): [json.loads(line) for line in one.read_text().splitlines()] for one in names}


def merges(path):
    """Versions that replace files by others with the same rows."""

    def is_one(actions):
        found = {kind: [one[kind] for one in actions if kind in one] for kind in ("add", "remove")}
        changes = [one["dataChange"] for kind in found.values() for one in kind]
        return bool(found["add"]) and bool(found["remove"]) and not any(changes)

    return [number for number, actions in versions(path).items() if is_one(actions)]


def merge_facts(server, written):
    """The server merges the files of days that are over within a minute of its start."""
    import deltalake

    path = table(server)
    before = merges(path)
    opened = deltalake.DeltaTable(path)
    files = set(opened.file_uris())
    with fact("deltalake and DuckDB count the same rows before and while files are merged"):
        until = time.monotonic() + MERGE_SECONDS_MAX
        looks = 0
        while len(merges(path)) == len(before):
            counts = (counted_by_delta(path), counted_by_duckdb(path))
            assert counts == (written, written), f"{counts} of {written}"
            looks += 1
            assert time.monotonic() < until, "no version of the log merges files"
        assert looks > 0, "the files were merged before anybody looked"
    with fact("deltalake and DuckDB count the same rows after files were merged"):
        counts = (counted_by_delta(path), counted_by_duckdb(path))
        assert counts == (written, written), f"{counts} of {written}"
        after = set(deltalake.DeltaTable(path).file_uris())
        assert after != files and len(after) <= len(files), f"{len(files)} files became {len(after)}"
    with fact("a reader that opened the table before the merge still counts all rows"):
        assert opened.to_pyarrow_table().num_rows == written


def write(server, token, first, rows):
    from influxdb_client import InfluxDBClient, Point, WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS

    points = [
        Point("probe").tag("room", "a b").field("temperature", float(n % 40)).time(
            first + n, WritePrecision.S
        )
        for n in range(rows)
    ]
    url = f"http://{server.http}"
    with InfluxDBClient(url=url, token=token, org="any", enable_gzip=True) as client:
        api = client.write_api(write_options=SYNCHRONOUS)
        api.write(bucket="any", record=points, write_precision=WritePrecision.S)


def reader_facts(server, token):
    written = 0
    for round in range(ROUNDS):
        first = FIRST + round * 86_400
        with fact(f"influxdb-client: round {round} of {ROWS} rows is in the export"):
            write(server, token, first, ROWS)
            written += ROWS
            eventually("all rows", lambda: kept(server) == written, seconds=20)
        with fact(f"deltalake and DuckDB count round {round} after a stop in order"):
            assert server.stop() == 0, "did not stop in order"
            path = table(server)
            counts = (counted_by_delta(path), counted_by_duckdb(path))
            assert counts == (written, written), f"{counts} of {written}"
            server.start()
        with fact(f"a kill after round {round} takes no row and adds none"):
            server.kill()
            server.start()
            eventually("all rows", lambda: kept(server) == written, seconds=20)
            assert counted_by_delta(table(server)) == written
    merge_facts(server, written)


def main():
    server = Server()
    try:
        server.start()
        server.apply()
        login = server.add("probe-1")
        with fact("influxdb-client: a wrong token is refused"):
            from influxdb_client.rest import ApiException

            try:
                write(server, "wrong", FIRST, 1)
            except ApiException as error:
                assert error.status == 401, f"status {error.status}"
            else:
                raise AssertionError("accepted")
        reader_facts(server, login.password)
    finally:
        server.remove()
    sys.exit(verdicts.failed)


if __name__ == "__main__":
    main()
