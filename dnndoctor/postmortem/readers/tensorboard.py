"""TensorBoard event files, read by TensorBoard's own loader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dnndoctor.postmortem.log import Log, Points, Reader, Unreadable


def read(file: Path) -> Log:
    """Every scalar of an event file; a record that was cut off ends it."""
    points, notes = Points(), list[str]()
    for event in _events(file, notes):
        for value in event.summary.value:
            figure = _scalar(value)
            if figure is not None:
                points.add(value.tag, figure, step=float(event.step), time=event.wall_time)
    if not points.count:
        raise Unreadable(f"{file}: holds no scalars")
    return Log(file, points.series(), notes=tuple(notes))


def _events(file: Path, notes: list[str]) -> Iterator[Any]:
    try:
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError:
        raise Unreadable(f"{file}: reading TensorBoard events takes: pip install tensorboard") from None
    from google.protobuf.message import DecodeError

    try:
        for record in RawEventFileLoader(str(file)).Load():
            yield Event.FromString(record)
    except DecodeError:
        notes.append(f"{file}: damaged; what stands before the damage was read")
    except Exception as why:  # noqa: BLE001 - whatever the loader makes of bytes that are none of its own
        raise Unreadable(f"{file}: is no event file that TensorBoard can read ({type(why).__name__})") from None


def _scalar(value: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.metadata.plugin_data.plugin_name not in ("", "scalars"):
        return None
    tensor = value.tensor
    if any(dimension.size != 1 for dimension in tensor.tensor_shape.dim):
        return None
    for kept in (tensor.float_val, tensor.double_val):
        if len(kept) == 1:
            return float(kept[0])
    import numpy as np

    kinds = {1: np.float32, 2: np.float64}
    kind = kinds.get(tensor.dtype)
    if kind is None or len(tensor.tensor_content) != np.dtype(kind).itemsize:
        return None
    return float(np.frombuffer(tensor.tensor_content, kind)[0])


READERS = (Reader("TensorBoard events", lambda path, _head: "tfevents" in path.name, read),)
