"""Runs that W&B kept on disk (``run-*.wandb``): its records are read with its own protocol buffers.

The framing is LevelDB's log: blocks of 32 KiB, each record in one piece or in first, middle and last ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from dnndoctor.postmortem.log import Log, Points, Reader, Unreadable, number
from dnndoctor.postmortem.readers.tables import flat, parsed

MAGIC = b":W&B"
BLOCK = 1 << 15
PIECE = struct.Struct("<IHB")  # checksum, length, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
LARGEST_RECORD = 1 << 26


def read(file: Path) -> Log:
    """Every figure of the run's history, and its settings."""
    try:
        from wandb.proto.wandb_internal_pb2 import Record
    except ImportError:
        raise Unreadable(f"{file}: reading runs of W&B takes: pip install wandb") from None
    from google.protobuf.message import DecodeError

    points, facts = Points(), dict[str, Any]()
    notes: tuple[str, ...] = ()
    with file.open("rb") as stream:
        if stream.read(7)[:4] != MAGIC:
            raise Unreadable(f"{file}: is no run of W&B")
        try:
            for each in _records(stream):
                record = Record.FromString(each)
                _taken(record, points, facts)
        except DecodeError:
            notes = (f"{file}: damaged; what stands before the damage was read",)
    if not points.count:
        raise Unreadable(f"{file}: no history was logged")
    return Log(file, points.series(), facts, notes)


def _taken(record: Any, points: Points, facts: dict[str, Any]) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        for each in record.run.config.update:
            value = parsed(each.value_json)
            if isinstance(value, int | float | str) and each.key:
                facts[each.key] = value
    if kind != "history":
        return
    row = {each.key or "/".join(each.nested_key): parsed(each.value_json) for each in record.history.item}
    own, epoch, time = (number(row.get(key)) for key in ("_step", "epoch", "_timestamp"))
    step = own if own is not None else float(record.history.step.num)
    for name, value in flat(row):
        figure = number(value)
        if figure is not None and not name.startswith("_") and name != "epoch":
            points.add(name, figure, step=step, epoch=epoch, time=time)


def _records(stream: BinaryIO) -> Iterator[bytes]:
    """The records of a log; a piece that was cut off, and what it belongs to, is left out."""
    whole, place = b"", 7
    while True:
        left = BLOCK - place % BLOCK
        if left < PIECE.size:
            stream.seek(left, 1)
            place += left
            continue
        head = stream.read(PIECE.size)
        if len(head) < PIECE.size:
            return
        _, length, kind = PIECE.unpack(head)
        body = stream.read(length)
        place += PIECE.size + length
        if len(body) < length:
            return
        if kind in (FULL, FIRST):
            whole = b""
        whole += body
        if len(whole) > LARGEST_RECORD:
            whole = b""
        elif kind in (FULL, LAST):
            yield whole
        elif kind not in (FIRST, MIDDLE):
            return


READERS = (Reader("W&B run", lambda path, head: path.suffix == ".wandb" or head[:4] == MAGIC, read),)
