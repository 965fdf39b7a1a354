"""Flight recordings that were made together: one of each rank, which tell of one training."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnndoctor.recording import schema
from dnndoctor.recording.logged import FLIGHT
from dnndoctor.recording.rank_lines import Line, compare, exchanges

SUFFIX = ".dnnrec"
MOST_FILES = 5_000
# What the others raise, or are ended by, where one rank has failed.
CONSEQUENCES = ("Connection closed by peer", "Connection reset by peer", "NCCL", "Broken pipe", "process group")
BY_OTHERS = ("SIGTERM", "SIGKILL", "SystemExit", "ProcessExitedException", "DistBackendError", "DistNetworkError")


@dataclass(frozen=True, slots=True)
class Flight:
    """One recording, by the facts of its run."""

    path: Path
    run: dict[str, Any]

    @property
    def rank(self) -> int:
        """0 where nobody said."""
        return int(self.run.get("rank") or 0)

    @property
    def ended(self) -> float:
        """Seconds since 1970; of one that tells no end, when it began."""
        return float(self.run.get("began") or 0.0) + float(self.run.get("wall_seconds") or 0.0)


@dataclass(frozen=True, slots=True)
class Launch:
    """The recordings of one training, by rank; of a process that trains alone just one."""

    flights: tuple[Flight, ...]

    @property
    def lead(self) -> Flight:
        """The one that is judged."""
        return self.flights[0]

    @property
    def world(self) -> int:
        """How many ranks there were, recorded or not."""
        return int(self.lead.run.get("world") or 1)

    @property
    def began(self) -> float:
        """Seconds since 1970."""
        return max(float(each.run.get("began") or 0.0) for each in self.flights)


def flights_at(paths: Iterable[Path]) -> list[Flight]:
    """Every flight recording at these files and below these folders; what is none is left out."""
    found = {path.resolve(): each for path in _files(paths) if (each := flight_at(path)) is not None}
    return list(found.values())


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            for number, each in enumerate(sorted(path.rglob(f"*{SUFFIX}"))):
                if number < MOST_FILES and each.is_file():
                    yield each
        elif path.is_file():
            yield path


def flight_at(path: Path) -> Flight | None:
    """The recording there, if it is one of the flight recorder; also of one that is being written."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)) as database:
            if database.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
                return None
            rows = database.execute("SELECT key, value FROM run").fetchall()
        run = {key: json.loads(value) for key, value in rows}
    except (sqlite3.Error, ValueError):
        return None
    return Flight(path, run) if run.get("kind") == FLIGHT else None


def launches(flights: Iterable[Flight]) -> list[Launch]:
    """Ranks that were launched together as one; the newest launch last."""
    groups: dict[Any, dict[int, Flight]] = {}
    for number, each in enumerate(flights):
        several = int(each.run.get("world") or 1) > 1 and each.run.get("launch")
        group = groups.setdefault(
            (each.run["launch"], each.run["world"], each.run.get("part")) if several else number, {}
        )
        before = group.get(each.rank)
        if before is None or each.ended >= before.ended:  # of a rank that began anew the last one
            group[each.rank] = each
    made = [Launch(tuple(group[rank] for rank in sorted(group))) for group in groups.values()]
    return sorted(made, key=lambda each: each.began)


def together(launch: Launch) -> dict[str, Any]:
    """Facts of the run that only all ranks tell: how they compare, and whose failure came first."""
    if launch.world < 2:
        return {}
    facts: dict[str, Any] = {"ranks_compared": _compared(launch)} if len(launch.flights) > 1 else {}
    notes = list(launch.lead.run.get("notes") or ())
    if len(launch.flights) < launch.world:
        notes.append(f"recordings of {len(launch.flights)} of {launch.world} ranks were there")
    failed = _failed(launch.flights)
    if failed is not None and failed is not launch.lead:
        told = failed.run["log_facts"]
        message = f"{told.get('exception_message') or ''} (on rank {failed.rank})".strip()
        facts["log_facts"] = {**told, "exception_message": message}
    return facts | {"notes": notes}


def _compared(launch: Launch) -> dict[str, Any]:
    model = launch.lead.run.get("ranks") or {}
    lines = {each.rank: _lines(each.path) for each in launch.flights}
    compared = compare(lines, model.get("parameters") or ())
    settings = {key: model[key] for key in ("wrapped", "sharded", "model", "data") if key in model}
    settings["collectives"] = exchanges(lines[launch.lead.rank])
    return {"world": launch.world, "examined": -1, **settings, **compared}  # all ranks carry the same recorder


def _lines(path: Path) -> list[Line]:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)) as database:
            rows = database.execute("SELECT step, facts FROM rank ORDER BY step").fetchall()
    except sqlite3.Error:
        return []
    return [{"step": step, **json.loads(facts)} for step, facts in rows]


def _failed(flights: Sequence[Flight]) -> Flight | None:
    """The rank whose own failure came first; those that only lost their partner come after."""
    raised = [each for each in flights if (each.run.get("log_facts") or {}).get("exception")]
    return min(raised, key=lambda each: (_is_consequence(each), each.ended), default=None)


def _is_consequence(one: Flight) -> bool:
    told = one.run["log_facts"]
    message = told.get("exception_message") or ""
    return told["exception"] in BY_OTHERS or any(each in message for each in CONSEQUENCES)
