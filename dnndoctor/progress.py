"""How far an examination is, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dnndoctor.probe_names import PROBES

OnProgress = Callable[[str, int, int, float], None]

PHASES = {
    "start": "starting the script",
    "observe": "watching its steps",
    **PROBES,
    "evaluate": "judging",
    "finish": "writing the report",
}

RUN = "run "  # "run 2 of 3": not one of the examination's own phases


@contextmanager
def shown(*, quiet: bool) -> Iterator[OnProgress | None]:
    """A callback ``(phase, step, total, seconds left)``: a live line on a terminal, else one line for each phase."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _live() as callback:
            yield callback
    else:
        yield _lines()


def _lines() -> OnProgress:
    seen: list[str] = []

    def tell(phase: str, step: int, total: int, left: float) -> None:  # noqa: ARG001 - the live line shows them
        again = sum(each.startswith(RUN) for each in seen) > 1  # what a second run does was told of the first
        if (phase.startswith(RUN) or (phase in PHASES and not again)) and phase not in seen:
            seen.append(phase)
            print(f"dnndoctor: {PHASES.get(phase, phase)}", file=sys.stderr, flush=True)

    return tell


@contextmanager
def _live() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[steps]}"))
    left_column = TextColumn("[dim]{task.fields[left]}[/dim]")
    with Progress(*columns, left_column, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(PHASES["start"], total=None, steps="", left="")

        def tell(phase: str, step: int, total: int, left: float) -> None:
            progress.update(
                task,
                description=PHASES.get(phase, phase),
                completed=step,
                total=total or None,
                steps=f"{step}/{total}" if total else "",
                left=f"{max(left, 0.0):.0f} s of the budget left",
            )

        yield tell
