"""Files of the user's: read once, in the encoding that they declare; written back in one stroke."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dnndoctor.fixes.source import Refused, Source


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was read."""

    raw: bytes
    encoding: str
    source: Source


class Files:
    """By name. What cannot be read, or is not what was examined, is refused; ``examined``: digests by name."""

    def __init__(self, read: Callable[[str], bytes], examined: Mapping[str, str] | None = None) -> None:
        self._read, self._examined = read, examined or {}
        self._known: dict[str, File | Refused] = {}

    def __call__(self, name: str) -> Source:
        """Raises Refused."""
        return self.file(name).source

    def file(self, name: str) -> File:
        """Raises Refused."""
        if name not in self._known:
            self._known[name] = self._load(name)
        found = self._known[name]
        if isinstance(found, Refused):
            raise found
        return found

    def _load(self, name: str) -> File | Refused:
        try:
            raw = self._read(name)
            encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
            text = raw.decode(encoding)
        except (OSError, SyntaxError, ValueError):
            return Refused(f"{name} cannot be read")
        if self._examined.get(name, digest(raw)) != digest(raw):
            return Refused(f"{name} has changed since it was examined")
        try:
            return File(raw, encoding, Source(text))
        except (SyntaxError, ValueError, RecursionError):
            return Refused(f"{name} does not parse")


def digest(raw: bytes) -> str:
    """Tells one content of a file from another."""
    return hashlib.sha256(raw).hexdigest()


def replace_content(path: Path, file: File, text: str) -> None:
    """The text in the place of what was read, all of it or nothing; links stay links, and modes modes.

    Raises Refused if the file is another one by now, OSError if it cannot be written.
    """
    real = path.resolve()
    if real.read_bytes() != file.raw:
        raise Refused(f"{path} has changed since it was examined")
    content = text.encode(file.encoding)
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        shutil.copymode(real, name)
        os.replace(name, real)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
