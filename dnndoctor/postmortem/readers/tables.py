"""Tables of numbers: CSV (Lightning's ``metrics.csv`` among them), JSON lines, and lists of records in JSON."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dnndoctor.postmortem.log import Log, Points, Reader, Unreadable, number
from dnndoctor.postmortem.names import EPOCH, STEP, TIME

MOST_COLUMNS = 2000
LONGEST_LINE = 1 << 20
MOST_POINTS = 20_000_000  # about 2 GB as text: beyond it the rest is left out, and that is said
LARGEST_JSON = 1 << 28


def rows_of(file: Path, rows: Iterable[tuple[int, Mapping[str, Any]]], notes: tuple[str, ...] = ()) -> Log:
    """A log from numbered records, each a mapping from names to what was logged under them."""
    points, said = Points(), list(notes)
    for line, row in rows:
        record = dict(flat(row))
        columns = _columns(tuple(record))
        step, epoch = _first(record, columns.step), _first(record, columns.epoch)
        time = _time(record, columns.time)
        for name in columns.figures:
            if (figure := number(record[name])) is not None:
                points.add(name, figure, step=step, epoch=epoch, time=time, line=line)
        if points.count > MOST_POINTS:
            said.append(f"{file}: only the first {MOST_POINTS:,} figures were read")
            break
    if not points.count:
        raise Unreadable(f"{file}: holds no logged figures")
    return Log(file, points.series(), notes=tuple(said))


def flat(row: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Nested records with their names joined by slashes."""
    for key, value in row.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if depth < 4:
                yield from flat(value, f"{name}/", depth + 1)
        else:
            yield name, value


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which names of a record tell its place, the likeliest first, and which are figures."""

    step: tuple[str, ...]
    epoch: tuple[str, ...]
    time: tuple[str, ...]
    figures: tuple[str, ...]


@functools.lru_cache(maxsize=1 << 10)  # the same few, in a million records
def _columns(names: tuple[str, ...]) -> _Columns:
    lower = {name.lower().strip(): name for name in names}

    def called(wanted: Iterable[str]) -> tuple[str, ...]:
        return tuple(lower[each] for each in wanted if each in lower)

    placing = {*STEP, *EPOCH, *TIME}
    figures = tuple(name for name in names if name.lower() not in placing)
    return _Columns(called(STEP), called(EPOCH), called((*TIME, "time")), figures)


def _first(record: Mapping[str, Any], names: Iterable[str]) -> float | None:
    return next((figure for name in names if (figure := number(record[name])) is not None), None)


def _time(record: Mapping[str, Any], names: Iterable[str]) -> float | None:
    for name in names:
        value = record[name]
        if (figure := number(value)) is not None:
            # A bare "time" is as often the duration of a step as a moment.
            if name.lower().strip() != "time" or figure > 1e9:
                return figure / 1000 if figure > 1e11 else figure
        elif isinstance(value, str) and (moment := instant(value)) is not None:
            return moment
    return None


def instant(text: str) -> float | None:
    """Seconds since 1970 of a date in ISO form, or None; without a zone it counts as UTC."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(",", "."))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def read_csv(file: Path) -> Log:
    """A table with a header; comma, semicolon or tab."""
    with file.open(encoding="utf-8", errors="replace", newline="") as stream:
        head = stream.readline(LONGEST_LINE)
        delimiter = max(",;\t", key=head.count)
        names = next(csv.reader([head], delimiter=delimiter), [])
        names = [each.strip().lstrip("\ufeff") for each in names]
        if len(names) < 2 or len(names) > MOST_COLUMNS or all(number(each) is not None for each in names):
            raise Unreadable(f"{file}: is no table with a header of names")
        return rows_of(file, _records(stream, names, delimiter))


def _records(stream: Iterable[str], names: list[str], delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    rows = csv.reader((each[:LONGEST_LINE].replace("\0", "") for each in stream), delimiter=delimiter)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            continue
        yield rows.line_num + 1, {name: value for name, value in zip(names, row, strict=False) if value.strip()}


def read_json_lines(file: Path) -> Log:
    """One record in JSON per line; broken lines, the last of a killed run among them, are passed over."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        return rows_of(file, _json_lines(stream))


def _json_lines(stream: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for at, line in enumerate(stream, 1):
        if len(line) > LONGEST_LINE or not line.lstrip().startswith("{"):
            continue
        record = parsed(line)
        if isinstance(record, dict):
            yield at, record


def parsed(text: str) -> Any:
    """What a text in JSON says (NaN and Infinity as well), or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def whole_json(file: Path) -> Any:
    """All of a JSON file.

    Raises Unreadable.
    """
    if file.stat().st_size > LARGEST_JSON:
        raise Unreadable(f"{file}: is larger than {LARGEST_JSON >> 20} MB, too large for a log in JSON")
    found = parsed(file.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        raise Unreadable(f"{file}: is no JSON, or was cut off")
    return found


def read_json(file: Path) -> Log:
    """``trainer_state.json`` of transformers, or a list of records."""
    found = whole_json(file)
    history = found.get("log_history") if isinstance(found, dict) else found
    if not isinstance(history, list):
        raise Unreadable(f'{file}: holds neither a list of records nor a "log_history"')
    records = ((0, each) for each in history if isinstance(each, dict))
    log = rows_of(file, records)
    facts = {key: found[key] for key in ("max_steps", "num_train_epochs", "best_model_checkpoint", "best_global_step")
             if isinstance(found, dict) and isinstance(found.get(key), int | float | str)}  # fmt: skip
    return Log(log.file, log.series, facts, log.notes)


def _named(*endings: str) -> Any:
    return lambda path, _head: path.name.lower().endswith(endings)


READERS = (
    Reader("JSON lines", _named(".jsonl", ".ndjson"), read_json_lines),
    Reader("Trainer state", lambda path, _head: path.name == "trainer_state.json", read_json),
    Reader("CSV", _named(".csv", ".tsv"), read_csv),
    Reader("JSON", lambda path, head: path.suffix == ".json" and head.lstrip()[:1] in (b"[", b"{"), read_json, True),
)
