-- Types are those both databases share under one text: BIGINT for numbers, times (UTC ms) and
-- yes/no, TEXT for ids and JSON.

-- Every revision of everything people decided; rows are only ever added.
CREATE TABLE record (
    tenant   TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    revision BIGINT NOT NULL,
    content  TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    reason   TEXT   NOT NULL,
    PRIMARY KEY (tenant, kind, id, revision)
);

-- The revision in force, and what it is looked up by. `unique_name` and `owner` are null where the
-- record has none and after its removal.
CREATE TABLE head (
    tenant      TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    revision    BIGINT NOT NULL,
    tombstone   BIGINT NOT NULL,
    unique_name TEXT,
    owner       TEXT,
    PRIMARY KEY (tenant, kind, id)
);
CREATE UNIQUE INDEX head_unique_name ON head (kind, unique_name);
CREATE INDEX head_kind ON head (kind, tenant, id);
CREATE INDEX head_owner ON head (tenant, kind, owner, id);

-- The order in which decisions were committed.
CREATE TABLE outbox (
    seq      BIGINT NOT NULL PRIMARY KEY,
    tenant   TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    revision BIGINT NOT NULL
);

-- One row: updating it first serialises writers, so seq order is commit order.
CREATE TABLE outbox_order (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seq BIGINT NOT NULL
);
INSERT INTO outbox_order (one, seq) VALUES (1, 0);

-- One row: the last outbox row that is durable in the event log.
CREATE TABLE relay (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seq BIGINT NOT NULL
);
INSERT INTO relay (one, seq) VALUES (1, 0);
