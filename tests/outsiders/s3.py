"""History in S3 as a stranger tries it: a store that nobody here wrote (moto), readers that nobody here
wrote (deltalake, DuckDB), an outage, kills, and a commit whose answer gets lost on the way.

It needs the readers of `lake.py`, so it has their environment: `facts` starts this file there.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

from server import Server
from verdicts import eventually, fact
import verdicts

BUCKET = "fleet"
PREFIX = "iot/history"
REGION = "us-east-1"
KEY, SECRET = "iotbiz", "sesame-of-the-test"
ROWS = 300
FIRST = 1_795_608_000_000
STORE_SECONDS_MAX = 30


def facts():
    """Runs this file with the Python that has the readers; its lines count."""
    done = subprocess.run([os.environ["LAKE_PYTHON"], __file__], timeout=900)
    verdicts.failed += done.returncode


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Store:
    """moto's S3 server, in a process of its own."""

    def __init__(self):
        self.port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait()
        self.client().create_bucket(Bucket=BUCKET)

    def wait(self):
        until = time.monotonic() + STORE_SECONDS_MAX
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("moto does not listen")

    def client(self):
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )

    def names(self):
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def bytes(self, name):
        return self.client().get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Road:
    """The way to the store: it can be closed, and it can lose the answer to a commit."""

    def __init__(self, to):
        self.to = to
        self.port = free_port()
        self.listener = None
        self.connections = set()
        self.losing = 0
        self.lost = 0
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in list(self.connections):
            self.end(one)

    def end(self, one):
        self.connections.discard(one)
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        try:
            store = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            client.close()
            return
        self.connections |= {client, store}
        way = {"lose": False}
        back = threading.Thread(target=self.back, args=(store, client, way), daemon=True)
        back.start()
        try:
            while data := client.recv(65536):
                if self.losing and data.startswith(b"PUT") and b"/_delta_log/" in data.split(b"\r\n")[0]:
                    self.losing -= 1
                    way["lose"] = True
                store.sendall(data)
        except OSError:
            pass
        self.end(store)
        self.end(client)

    def back(self, store, client, way):
        try:
            while data := store.recv(65536):
                if way["lose"]:
                    # The store has done it; whoever asked never hears of it.
                    self.lost += 1
                    break
                client.sendall(data)
        except OSError:
            pass
        self.end(store)
        self.end(client)


def tables(store):
    """Prefixes of Delta tables."""
    names = store.names()
    return sorted({name.split("/_delta_log/")[0] for name in names if "/_delta_log/" in name})


def by_delta(store):
    import deltalake

    options = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    found = [deltalake.DeltaTable(f"s3://{BUCKET}/{one}", storage_options=options) for one in tables(store)]
    assert found, f"no Delta table among {store.names()}"
    return found


def counted_by_delta(store):
    return sum(table.to_pyarrow_table().num_rows for table in by_delta(store))


def counted_by_duckdb(store):
    """The objects that the Delta log names, read by another program."""
    import duckdb

    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for table in by_delta(store):
            for n, uri in enumerate(table.file_uris()):
                name = uri.removeprefix(f"s3://{BUCKET}/")
                path = pathlib.Path(folder, f"{n}.parquet")
                path.write_bytes(store.bytes(name))
                count += duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}')").fetchall()[0][0]
                path.unlink()
    return count


def counted(store):
    return counted_by_delta(store), counted_by_duckdb(store)


def no_row_is_double(store):
    """No row stands in the table twice: device and time name it."""
    for table in by_delta(store):
        rows = table.to_pyarrow_table()
        keys = list(zip(rows["_device"].to_pylist(), rows["_ts"].to_pylist()))
        assert len(keys) == len(set(keys)), "a row stands there twice"


class Writer:
    """A device that counts what was acknowledged."""

    def __init__(self, server, token):
        self.server, self.token, self.written = server, token, 0

    def write(self, rows=ROWS):
        batch = [
            {"ts": FIRST + (self.written + n) * 1000, "values": {"temperature": float(n % 40)}}
            for n in range(rows)
        ]
        self.server.ingest(self.token, json.dumps(batch))
        self.written += rows


def reasons(server):
    return server.call("GET", "/readyz", None)["reasons"]


def configured(road, server):
    secret = pathlib.Path(server.data, "..", f"{pathlib.Path(server.data).name}.secret").resolve()
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    config = secret.with_suffix(".toml")
    config.write_text(
        f'[history]\nurl = "s3://{BUCKET}/{PREFIX}"\nendpoint = "http://127.0.0.1:{road.port}"\n'
        f'region = "{REGION}"\naccess_key_id = "{KEY}"\nsecret_access_key_file = "{secret}"\n'
    )
    return ["--config", str(config)]


def kept(server):
    """Rows of an export: files and memory; nothing while the store has not answered yet."""
    try:
        return server.command("export", "--kind", "probe").count("\n") - 2
    except AssertionError:
        return None


def store_facts(server, store, road, more):
    server.start(more)
    server.apply()
    writer = Writer(server, server.add("probe-1").password)
    with fact("S3: what was acknowledged is there after a stop in order, for deltalake and DuckDB"):
        writer.write()
        eventually("all rows", lambda: kept(server) == writer.written, seconds=20)
        assert server.stop() == 0, "did not stop in order"
        assert counted(store) == (writer.written, writer.written), f"{counted(store)}"
        assert all(name.startswith(PREFIX + "/") for name in store.names()), store.names()
    with fact("S3: a kill takes no row and adds none"):
        server.start(more)
        writer.write()
        server.kill()
        server.start(more)
        eventually("all rows", lambda: kept(server) == writer.written, seconds=40)
        assert server.stop() == 0
        assert counted(store) == (writer.written, writer.written), f"{counted(store)}"
        no_row_is_double(store)
    with fact("S3: while the store is away devices are acknowledged, and the server says what is wrong"):
        road.close()
        server.start(more)
        began = time.monotonic()
        writer.write()
        assert time.monotonic() - began < 5, "ingest waited for the store"
        eventually("told", lambda: "history_unwritable" in reasons(server), seconds=40)
        eventually(
            "an alarm",
            lambda: [one["condition"] for one in server.api("GET", "/server/alarms")["items"]]
            == ["history_unwritable"],
            seconds=20,
        )
    with fact("S3: a kill in the outage and the store's return lose and double nothing"):
        server.kill()
        server.start(more)
        writer.write()
        eventually("told again", lambda: "history_unwritable" in reasons(server), seconds=40)
        eventually("an alarm", lambda: server.api("GET", "/server/alarms")["items"], seconds=20)
        road.open()
        eventually("well again", lambda: reasons(server) == [], seconds=90)
        eventually("all rows", lambda: kept(server) == writer.written, seconds=40)
        eventually("no alarm", lambda: server.api("GET", "/server/alarms")["items"] == [], seconds=20)
        alarms = server.api("GET", "/server/alarms?state=all")["items"]
        assert alarms and all(one["cleared"] >= one["raised"] for one in alarms), alarms
        assert server.stop() == 0
        assert counted(store) == (writer.written, writer.written), f"{counted(store)}"
        no_row_is_double(store)
    with fact("S3: a commit whose answer was lost is neither lost nor doubled"):
        server.start(more)
        writer.write()
        eventually("all rows", lambda: kept(server) == writer.written, seconds=40)
        road.losing = 1
        server.stop()
        assert road.lost == 1, "no answer was lost"
        server.start(more)
        eventually("all rows", lambda: kept(server) == writer.written, seconds=40)
        assert server.stop() == 0
        assert counted(store) == (writer.written, writer.written), f"{counted(store)}"
        no_row_is_double(store)
    with fact("S3: another data folder may not write to the same prefix"):
        other = Server()
        try:
            other.start(more)
            eventually("refused", lambda: "history_unwritable" in reasons(other), seconds=20)
            problem = other.api("GET", "/status")["history"]["problem"]
            assert "another data folder" in problem, problem
        finally:
            other.remove()
    with fact("S3: a backup says that history is not in it"):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [os.environ["IOTBIZ"], "backup", folder, "--data", server.data],
                capture_output=True, text=True, timeout=60,
            )
            assert done.returncode == 0, done.stderr
            assert f"s3://{BUCKET}/{PREFIX}" in done.stderr, done.stderr


def main():
    store = Store()
    road = Road(store.port)
    server = Server()
    try:
        store_facts(server, store, road, configured(road, server))
    finally:
        server.remove()
        store.stop()
    sys.exit(verdicts.failed)


if __name__ == "__main__":
    main()
