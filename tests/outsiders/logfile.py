"""Reads the event log from its files, knowing no more than docs/formats/log.md and the layout of a
frame in crates/model/src/frame.rs. Checksums are left to `iotbiz fsck`.
"""

import pathlib
import struct

BATCHES_AT = 1024
BATCH = struct.Struct("<4sIIIQqQII")
BATCH_MAGIC = b"IoB1"
RAW = 1
DEVICE_IS_PRINCIPAL = 2


def payloads(folder):
    """The payload of every Raw frame, in the order of the log."""
    expected = None
    for path in sorted(pathlib.Path(folder).glob("*.log")):
        data = path.read_bytes()
        assert data[:8] == b"IOTBLOG1", f"{path.name} does not open with IOTBLOG1"
        number = int(path.stem)
        for first, count, body in batches(data, number):
            # Durable offsets have no gaps; without damage none may be missing.
            assert expected in (None, first), f"{path.name}: offset {first} instead of {expected}"
            expected = first + count
            yield from (payload for frame in frames(body, count) if (payload := raw(frame)) is not None)


def batches(data, number):
    """First offset, count and body of each batch up to the space written ahead."""
    at = BATCHES_AT
    while data[at : at + 4] == BATCH_MAGIC:
        _, _, length, _, first, _, _, count, segment = BATCH.unpack_from(data, at)
        if segment != number:
            return
        at += BATCH.size
        yield first, count, data[at : at + length]
        at += length


def frames(body, count):
    at = 0
    for _ in range(count):
        (length,) = struct.unpack_from("<I", body, at)
        at += 4
        yield body[at : at + length]
        at += length


def raw(frame):
    """The payload of a Raw frame, None for another kind."""
    if frame[0] != RAW:
        return None
    (flags,) = struct.unpack_from("<H", frame, 1)
    at = 3 + 16 + 16
    if flags & 1 and not flags & DEVICE_IS_PRINCIPAL:
        at += 16
    at += 8 + 2
    for _ in ("topic", "properties", "key"):
        (length,) = struct.unpack_from("<I", frame, at)
        at += 4 + length
    (length,) = struct.unpack_from("<I", frame, at)
    return frame[at + 4 : at + 4 + length]
