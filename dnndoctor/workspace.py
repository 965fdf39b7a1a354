"""The files that dnndoctor itself reads and writes in the working directory, looked at before any work."""

from __future__ import annotations

import os
import warnings
from difflib import get_close_matches
from itertools import count
from pathlib import Path

from dnndoctor.recording.schema import APPLICATION_ID

FOLDER = ".dnndoctor"
SQLITE = b"SQLite format 3\0"
APPLICATION_AT = 68  # in SQLite's file header: whose database it is


class BadInput(ValueError):
    """What the user asked for cannot be done; the message is one line."""


def new_recording(root: Path, script: str) -> Path:
    """A path for a new recording under ``.dnndoctor/``, which is made here with its own ``.gitignore``."""
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    stem = Path(script).stem
    names = (f"{stem}.dnnrec" if number == 1 else f"{stem}-{number}.dnnrec" for number in count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def check_script(script: Path) -> None:
    """Raises BadInput where Python could not even start the script."""
    if script.is_dir():
        raise BadInput(f"{script}: is a directory; name the training script in it")
    if not script.exists():
        raise BadInput(f"{script}: no such file{_like(script)}")
    if script.suffix == ".ipynb":
        raise BadInput(f"{script}: is a notebook; make a script of it: jupyter nbconvert --to script {script}")
    try:
        source = script.read_bytes()
    except OSError as why:
        raise BadInput(f"{script}: {why.strerror}") from None
    if source.startswith(SQLITE):
        raise BadInput(f"{script}: is no script; for a recording: dnndoctor report {script}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, str(script), "exec", dont_inherit=True)
    except SyntaxError as why:
        place = ":".join(str(each) for each in (script, why.lineno, why.offset) if each is not None)
        raise BadInput(f"{place}: syntax error: {why.msg}") from None
    except ValueError as why:
        raise BadInput(f"{script}: is no Python script: {why}") from None


def check_recording(recording: Path) -> None:
    """Raises BadInput where there is no file to read."""
    if recording.is_dir():
        raise BadInput(f"{recording}: is a directory; name the recording in it (*.dnnrec)")
    if not recording.exists():
        raise BadInput(f"{recording}: no such file{_like(recording)}")


def check_writable(path: Path) -> None:
    """Raises BadInput if a file cannot be written there; neither makes nor changes a file."""
    parent = path.parent
    if path.is_dir():
        raise BadInput(f"{path}: cannot be written: it is a directory")
    if not parent.exists():
        raise BadInput(f"{path}: cannot be written: there is no folder {parent}")
    if not parent.is_dir():
        raise BadInput(f"{path}: cannot be written: {parent} is no folder")
    if not (os.access(path, os.W_OK) if path.exists() else os.access(parent, os.W_OK | os.X_OK)):
        raise BadInput(f"{path}: cannot be written: permission denied")


def check_replaceable(path: Path) -> None:
    """Raises BadInput if no recording can be written there, or what lies there is none."""
    check_writable(path)
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            head = file.read(APPLICATION_AT + 4)
        if not head.startswith(SQLITE) or head[APPLICATION_AT:] != APPLICATION_ID.to_bytes(4, "big"):
            raise BadInput(f"{path}: is no recording, and stays as it is; name another place for one")


def make_way(path: Path) -> None:
    """Remove the recording that lies there, with the log that a killed writer left beside it.

    Raises BadInput if none can be written there, or what lies there is none.
    """
    check_replaceable(path)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def check_workspace(root: Path) -> None:
    """Raises BadInput if no recording can be kept under ``root``."""
    folder = root / FOLDER
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder}: cannot be written: it is no folder")
    if not os.access(folder if folder.exists() else root, os.W_OK | os.X_OK):
        raise BadInput(f"{folder}: cannot be written: permission denied")


def write(path: Path, text: str) -> None:
    """Write a report; raises BadInput if the system refuses."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as why:
        raise BadInput(f"{path}: cannot be written: {why.strerror}") from None


def _like(path: Path) -> str:
    try:
        beside = [each.name for each in path.parent.iterdir() if each.suffix == path.suffix]
    except OSError:
        return ""
    close = get_close_matches(path.name, beside, n=1)
    return f"; nearest: {path.with_name(close[0])}" if close else ""
