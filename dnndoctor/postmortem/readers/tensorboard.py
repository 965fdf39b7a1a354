"""TensorBoard event files, read by TensorBoard's own loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnndoctor.postmortem.log import Log, Nothing, Points, Reader, Unreadable
from dnndoctor.postmortem.names import HELD_OUT, TRAINING, parts


def read(file: Path) -> Log:
    """Every scalar of an event file; a record that was cut off ends it."""
    points, notes = Points(), list[str]()
    for event in _events(file, notes):
        for value in event.summary.value:
            figure = _scalar(value)
            if figure is not None:
                points.add(value.tag, figure, step=float(event.step), time=event.wall_time)
    if not points.count:
        raise Nothing(f"{file}: holds no scalars")
    series = points.series()
    part = _part(file.parent.name, [each.name for each in series])
    if part is None:
        return Log(file, series, notes=tuple(notes))
    named = tuple(replace(each, name=part(each.name)) for each in series)
    return Log(file, named, notes=tuple(notes), run=file.parent.parent)


def _part(folder: str, tags: Sequence[str]) -> Callable[[str], str] | None:
    """Some writers give each curve of a run a folder: how its tags are to be named then; None for a run of its own.

    ``add_scalars("loss", {"val": ...})`` writes the tag "loss" in a folder "loss_val"; Keras writes into
    "train" and "validation".
    """
    if set(parts(folder)) <= TRAINING | HELD_OUT and parts(folder):
        return lambda tag: f"{folder}/{tag}"
    if len(tags) == 1 and folder.startswith(prefix := tags[0].replace("/", "_") + "_"):
        return lambda tag: f"{tag}/{folder.removeprefix(prefix)}"
    return None


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
