"""Folders that ``torch.distributed.checkpoint`` writes: an index that is a pickle, and files of tensors in pieces.

The index is read with stand-ins for all that it names, so that nothing of it is ever called; the pieces as any
file of ``torch.save``.
"""

from __future__ import annotations

import io
import math
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dnndoctor.postmortem.log import Unreadable
from dnndoctor.postmortem.weights.guard import LARGEST_PICKLE

INDEX = ".metadata"
NAMED = ("torch.distributed.checkpoint", "torch", "torch.serialization", "torch.distributed.tensor", "pathlib")


@dataclass(slots=True)
class _Piece:
    file: Path
    offset: int
    length: int
    at: tuple[int, ...]


@dataclass(slots=True)
class Pieces:
    """What the folder holds: ``sizes`` of tensors by name, and ``values``, the names of all else."""

    folder: Path
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)
    places: dict[str, list[_Piece]] = field(default_factory=dict)

    def get(self, name: str) -> torch.Tensor:
        """The tensor, put together. Raises Unreadable."""
        size, pieces = self.sizes[name], self.places.get(name, [])
        parts = [(piece, self._loaded(piece)) for piece in pieces]
        if not parts or not all(isinstance(part, torch.Tensor) for _, part in parts):
            raise Unreadable(f"{self.folder}: holds no tensor for {name[:80]}")
        if len(parts) == 1 and tuple(parts[0][1].shape) == size:
            whole: torch.Tensor = parts[0][1]
            return whole
        if math.prod(size) > sum(part.numel() for _, part in parts):
            raise Unreadable(f"{self.folder}: pieces of {name[:80]} are missing")
        whole = torch.zeros(size, dtype=parts[0][1].dtype)
        for piece, part in parts:
            inside = tuple(slice(start, start + length) for start, length in zip(piece.at, part.shape, strict=True))
            whole[inside] = part
        return whole

    def value(self, name: str) -> Any:
        """What was saved under a name of ``values``; None where that takes more than plain numbers and containers."""
        try:
            return self._loaded(self.places[name][0])
        except (Unreadable, LookupError):
            return None

    def _loaded(self, piece: _Piece) -> Any:
        if piece.offset < 0 or piece.length < 0 or piece.offset + piece.length > piece.file.stat().st_size:
            raise Unreadable(f"{piece.file}: is shorter than its index says")
        with piece.file.open("rb") as stream:
            stream.seek(piece.offset)
            content = stream.read(piece.length)
        try:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as why:  # noqa: BLE001 - whatever torch makes of bytes that are none of its own
            reason = " ".join(str(why).split())[:80]
            raise Unreadable(f"{piece.file}: cannot be read safely, or is damaged ({reason})") from None


def pieces_of(folder: Path) -> Pieces:
    """What its index tells.

    Raises Unreadable, for a file outside of the folder as well.
    """
    index = folder / INDEX
    if index.stat().st_size > LARGEST_PICKLE:
        raise Unreadable(f"{folder}: its index is larger than {LARGEST_PICKLE >> 20} MB; it is refused")
    try:
        with index.open("rb") as stream:
            told = _Reader(stream).load()
        return _understood(folder, vars(told))
    except _Refused as what:
        wanted = f"reading its index would run code ({what}), so it is refused; where you trust it, "
        raise Unreadable(f"{folder}: {wanted}{_CONVERT.format(folder)}") from None
    except Unreadable:
        raise
    except Exception as why:  # noqa: BLE001 - whatever pickle makes of bytes that are none of its own
        reason = " ".join(str(why).split())[:80]
        raise Unreadable(f"{folder}: its index cannot be read safely, or is damaged ({reason})") from None


def _understood(folder: Path, told: dict[str, Any]) -> Pieces:
    found = Pieces(folder)
    for name, kind in told["state_dict_metadata"].items():
        size = vars(kind).get("size")
        if size is None:
            found.values.append(str(name))
        else:
            found.sizes[str(name)] = tuple(int(each) for each in size)
    for key, place in told["storage_data"].items():
        which, where = vars(key), vars(place)
        if where.get("transform_descriptors"):
            raise Unreadable(f"{folder}: is packed by an extension; {_CONVERT.format(folder)}")
        at = tuple(int(each) for each in which.get("offset") or ())
        file = _inside(folder, str(where["relative_path"]))
        piece = _Piece(file, int(where["offset"]), int(where["length"]), at)
        found.places.setdefault(str(which["fqn"]), []).append(piece)
    return found


_CONVERT = "convert it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch {} all.pt"


def _inside(folder: Path, name: str) -> Path:
    file = folder / name
    if Path(name).name != name or not file.resolve().is_relative_to(folder.resolve()):
        raise Unreadable(f"{folder}: names a file outside of itself ({name[:80]!r}) and is refused")
    if not file.is_file():
        raise Unreadable(f"{folder}: its file {name[:80]} is missing")
    return file


class _Refused(Exception):
    """The index names something that has no place in one."""


class _StandIn:
    """In place of every class and function that an index names: it keeps what it is given and does nothing."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update({str(key): value for key, value in state.items()})


class _Reader(pickle.Unpickler):
    """Knows no class but its own stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch", "Size"):
            return tuple
        if module in NAMED or module.startswith("torch.distributed."):
            return _StandIn
        raise _Refused(f"{module[:40]}.{name[:40]}")
