"""A world of one: what ``torchrun`` tells the only worker of a run, for scripts that do not start without it."""

from __future__ import annotations

import os
import re
import socket
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
NOTE = (
    "the script does not start without what torchrun sets, so it was run again as a world of one process "
    "(RANK=0, WORLD_SIZE=1, LOCAL_RANK=0)"
)
_NAMED = re.compile(rf"\b({'|'.join(NAMES)})\b")
_MISSING = re.compile(rf"KeyError: '({'|'.join(NAMES)})'|environment variable ({'|'.join(NAMES)}) expected")
_TOLD = re.compile(r"torchrun|torch\.distributed\.(launch|run)\b|[Pp]rocess group has not been initialized")


def environment() -> dict[str, str]:
    """The variables, with a port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": "0"}
    return {**values, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def is_told(lines: Iterable[str], inherited: Mapping[str, str] | None = None) -> bool:
    """Whether a program that reports its own exceptions printed that these variables are missing."""
    known = os.environ if inherited is None else inherited
    return not _complete(known) and any(_MISSING.search(each) for each in lines)


def _complete(known: Mapping[str, str]) -> bool:
    return all(name in known for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))


def is_wanted(error: BaseException, inherited: Mapping[str, str] | None = None) -> bool:
    """Whether a script that broke off before its first step did so for want of these variables."""
    known = os.environ if inherited is None else inherited
    if _complete(known):
        return False
    text = str(error)
    if isinstance(error, KeyError | ValueError) and _NAMED.search(text):
        return True
    if isinstance(error, Exception | SystemExit) and _TOLD.search(text):
        return True
    # int(os.environ.get("LOCAL_RANK")), or the None of that carried further
    return isinstance(error, TypeError) and "None" in text and _sources_name_them(error)


def _sources_name_them(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    files = {each.filename for each in frames if "site-packages" not in each.filename}
    return any(_names(each) for each in files)


def _names(file: str) -> bool:
    try:
        with open(file, encoding="utf-8", errors="replace") as source:
            return bool(_NAMED.search(source.read()))
    except OSError:
        return False
