"""A run in MLflow's file store: a folder with ``meta.yaml`` and one text file per metric."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dnndoctor.postmortem.log import Log, Points, Reader, Unreadable, number

MOST_METRICS = 2000
LONGEST_LINE = 256


def read(folder: Path) -> Log:
    """Every metric: lines of milliseconds, value and step."""
    points = Points()
    files = sorted(each for each in (folder / "metrics").rglob("*") if each.is_file() and not each.is_symlink())
    for file in files[:MOST_METRICS]:
        name = file.relative_to(folder / "metrics").as_posix()
        for moment, value, step in _lines(file):
            points.add(name, value, step=step, time=moment / 1000)
    if not points.count:
        raise Unreadable(f"{folder}: no metrics were logged")
    return Log(folder, points.series(), _settings(folder / "params"))


def _lines(file: Path) -> Iterator[tuple[float, float, float]]:
    with file.open(encoding="utf-8", errors="replace") as stream:
        while line := stream.readline(LONGEST_LINE):
            words = [number(each) for each in line.split()[:3]]
            if len(words) == 3 and words[0] is not None and words[1] is not None and words[2] is not None:
                yield words[0], words[1], words[2]


def _settings(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    files = sorted(each for each in folder.iterdir() if each.is_file() and not each.is_symlink())[:MOST_METRICS]
    return {each.name: each.read_text(encoding="utf-8", errors="replace")[:LONGEST_LINE] for each in files}


def _claims(path: Path, _head: bytes) -> bool:
    return path.is_dir() and (path / "meta.yaml").is_file() and (path / "metrics").is_dir()


READERS = (Reader("MLflow run", _claims, read),)
