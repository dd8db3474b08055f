"""Everything a foreign client must be able to do, with four clients in both versions of MQTT."""

import argparse
import sys

import abuse
import alarms
import backup
import clients
import formulas
import full
import holds
import invoices
import kills
import lake
import mtls
import notify
import projects
import rating
import readme
import s3
import schema
import thingsboard
from server import Login, Refused, Server
from verdicts import eventually, fact
import verdicts

VERSIONS = {4: "3.1.1", 5: "5"}
# CONNACK: "bad user name or password" and "not authorised" (MQTT 3.1.1, 3.2.2.3; MQTT 5, 3.2.2.2).
LOGIN_REFUSED = {4: {4, 5}, 5: {0x86, 0x87}}


def client_facts(server, kind, version, login, other):
    """What one client in one version must see. `other` is a device that is not this client's."""
    client = kind(server, version)
    label = f"{kind.name} {VERSIONS[version]}"

    with fact(f"{label}: connects with id and token"):
        assert client.connect(login) == 0, "not accepted"

    with fact(f"{label}: a wrong token is refused"):
        code = client.connect(Login(login.user, "wrong"))
        # Two client libraries translate the code of 3.1.1 into that of 5; the meaning is the same.
        assert code in LOGIN_REFUSED[4] | LOGIN_REFUSED[5], f"CONNACK {code}"

    for qos in (0, 1):
        # Each client publishes a value of its own, so that a twin cannot be right by accident.
        value = round(10 + version + qos / 10 + clients.ALL.index(kind) / 100, 2)
        with fact(f"{label}: QoS {qos} telemetry is in the twin"):
            code = client.publish(login, "me/telemetry", qos, f'{{"temperature":{value}}}')
            # 0x10 is a success too: nobody else subscribed (MQTT 5, 3.4.2.1).
            assert code in (0, 0x10, None), f"PUBACK {code}"
            eventually(
                f"temperature {value}",
                lambda: server.reading(login.user, "temperature") == value,
            )

    with fact(f"{label}: desired settings arrive when it subscribes"):
        granted, messages = client.subscribe(login, "me/desired", 1)
        assert granted == 1, f"SUBACK {granted}"
        topic, payload = messages[0]
        assert topic == "me/desired" and "interval" in payload, f"{topic} {payload}"

    with fact(f"{label}: another device's topic is refused"):
        before = server.reading(other.user, "temperature")
        topic = f"t/{server.tenant}/d/{other.user}/telemetry"
        code = client.publish(login, topic, 1, '{"temperature":66}')
        # MQTT 3.1.1 cannot say no in a PUBACK; what counts is that nothing changed.
        if version == 5 and code is not None:
            assert code == "closed" or code >= 0x80, f"PUBACK {code}"
        after = server.reading(other.user, "temperature")
        assert after == before, f"the other device's twin went from {before} to {after}"

    with fact(f"{label}: another device's branch cannot be subscribed"):
        granted, _ = client.subscribe(login, f"t/{server.tenant}/d/{other.user}/#", 0)
        assert granted == "closed" or granted >= 0x80, f"SUBACK {granted}"


def http_facts(server, login):
    """The HTTP door beside the MQTT one."""
    with fact("http: a wrong bearer token is refused"):
        try:
            server.ingest("wrong", '{"temperature":1}')
        except Refused as refused:
            assert refused.status == 401, f"status {refused.status}"
        else:
            raise AssertionError("accepted")

    with fact("http: telemetry with the device's token is in the twin"):
        server.ingest(login.password, '{"temperature":20.5}')
        eventually(
            "temperature 20.5", lambda: server.reading(login.user, "temperature") == 20.5
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    server = Server()
    try:
        server.start()
        server.apply()
        other = server.add("other")
        number = 0
        for kind in clients.ALL:
            for version in VERSIONS:
                number += 1
                login = server.add(f"probe-{number}")
                server.api("PATCH", f"/devices/{login.user}/desired", {"interval": "15 min"})
                client_facts(server, kind, version, login, other)
        http_facts(server, other)
        with fact("the server stops in order"):
            code = server.stop()
            assert code == 0, f"exit code {code}"
    finally:
        server.remove()
    readme.facts()
    projects.facts()
    thingsboard.facts()
    mtls.facts()
    notify.facts()
    invoices.facts()
    alarms.facts()
    abuse.facts()
    schema.facts()
    lake.facts()
    s3.facts()
    formulas.facts()
    rating.facts()
    holds.facts()
    full.facts()
    kills.facts(arguments.kills, arguments.seed)
    backup.facts(arguments.seed)
    sys.exit(1 if verdicts.failed else 0)


if __name__ == "__main__":
    main()
