"""``dnndoctor.check``: examine a model that a program or a notebook holds."""

from __future__ import annotations

import html
import linecache
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dnndoctor import config
from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.examination import rediagnose
from dnndoctor.findings import Finding, Severity
from dnndoctor.progress import shown
from dnndoctor.select import Selection
from dnndoctor.workspace import BadInput, check_writable, make_way

if TYPE_CHECKING:
    from dnndoctor.subject.protocol import Ending

HEIGHT = 640  # pixels of the report in a notebook; its lower edge can be drawn


@dataclass(frozen=True, repr=False)
class Checked(Diagnosis):
    """A diagnosis that shows itself: as the HTML report in a notebook, as text where it is printed.

    ``cells``: the source of a notebook's cells by the name that findings call them.
    """

    cells: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def sound(self) -> bool:
        """Whether it was examined and nothing worse than a remark was found."""
        faults = self.count(Severity.ERROR) + self.count(Severity.WARNING)
        return self.target.outcome is Outcome.EXAMINED and not faults

    def __str__(self) -> str:
        from dnndoctor.reports import terminal

        self._remember_cells()
        return terminal.full(self, 100, False, Path()).rstrip("\n")

    def __repr__(self) -> str:
        from dnndoctor.reports import terminal

        return terminal.concise(self).rstrip("\n")

    def _repr_html_(self) -> str:
        """The report in a frame of its own, so that neither its style nor the notebook's reaches the other."""
        style = f"width:100%;height:{HEIGHT}px;border:0;resize:vertical;overflow:auto"
        return (
            f'<iframe title="dnndoctor report" sandbox="" style="{style}" srcdoc="{html.escape(self.html())}"></iframe>'
        )

    def html(self) -> str:
        """The report as a page of its own."""
        from dnndoctor.reports.html import render

        self._remember_cells()
        return render(self, Path())

    def _remember_cells(self) -> None:
        """Where reports look for source that is no file; Python forgets such entries now and then."""
        for name, text in self.cells.items():
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)

    def save(self, path: str | Path) -> None:
        """Write the HTML report there. Raises BadInput where that cannot be done."""
        from dnndoctor.workspace import write

        check_writable(Path(path))
        write(Path(path), self.html())


def check(
    model: Any,
    train_loader: Any = None,
    *,
    loss_fn: Any = None,
    optimizer: Any = None,
    val_loader: Any = None,
    scheduler: Any = None,
    input: Any = None,  # noqa: A002 - as the command line calls it
    steps: int = 50,
    probes: bool = True,
    budget: float = 120.0,
    seed: int | None = None,
    family: str | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    recording: str | Path | None = None,
    progress: bool = False,
) -> Checked:
    """Train ``model`` for a few dozen steps, watched, judge what was measured, and put everything back as it was.

    ``train_loader``: batches to go over again and again (a DataLoader, a list, a function that yields them) or a data
    set; without it the data is synthetic. ``loss_fn`` takes output and target. ``optimizer``: one over the model's
    parameters, or a class or function of them. ``input``: what the model takes where there is no data, as sizes
    without the batch ("3,32,32", "128:int", a tuple, a tensor of one batch, or a list or dict of these).
    ``steps`` to watch, ``budget`` in seconds. ``select``, ``ignore``: rules by code, prefix, name or practice, as a
    list or with commas. ``recording``: where to keep what was measured; nothing is written otherwise.
    ``progress``: show it on standard error.

    Raises BadInput, in one line, for what cannot be trained. What the model itself raises becomes the diagnosis.
    """
    from dnndoctor.subject.in_process import examine_objects
    from dnndoctor.subject.model_file import Offer
    from dnndoctor.subject.plain_loop import BadTarget

    settings = settings_with(select, ignore)
    keep = Path(recording) if recording is not None else None
    if keep is not None:
        make_way(keep)
    name = "train_data" if _is_data(train_loader) else "train_loader"
    offer = Offer(model, train_loader, name, val_loader, loss_fn, optimizer, scheduler)
    context = shown(quiet=False) if progress else nullcontext(None)
    with tempfile.TemporaryDirectory(prefix="dnndoctor-") as scratch, context as tell:
        path = keep or Path(scratch, "recording.dnnrec")
        try:
            ending = examine_objects(
                offer,
                _given(input),
                str(path),
                steps=steps,
                probes=probes,
                budget=budget,
                seed=seed,
                family=family,
                report=lambda phase, step, total: tell(phase, step, total, budget) if tell else None,
            )
        except BadTarget as why:
            raise BadInput(str(why)) from None
        found = rediagnose(path, settings)
    return _checked(found, ending, keep, budget)


def checked_recording(recording: Path, named: Path) -> Checked:
    """The diagnosis of a recording, which the report calls ``named``."""
    found = rediagnose(recording, config.load(Path()))
    values = {each.name: getattr(found, each.name) for each in fields(Diagnosis)}
    return Checked(**values | {"run": replace(found.run, recording=str(named))})


def settings_with(
    select: str | Iterable[str] | None = None, ignore: str | Iterable[str] | None = None, **options: Any
) -> Settings:
    """The project's settings with these over them. Raises BadInput for a rule or a setting that there is none of."""
    unknown = set(options) - {each.name for each in msgspec.structs.fields(Settings)}
    if unknown:
        raise BadInput(f"there is no setting {', '.join(sorted(unknown))}")
    selection = Selection(select=as_selection(select), ignore=as_selection(ignore) or ())
    try:
        return config.override(config.load(Path()), selection, **options)
    except config.ConfigError as why:
        raise BadInput(str(why).removeprefix("--")) from None


def as_selection(rules: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Selectors from a list, or from a text with commas."""
    if rules is None:
        return None
    listed = [rules] if isinstance(rules, str) else rules
    return tuple(part.strip() for each in listed for part in each.split(",") if part.strip())


def _checked(found: Diagnosis, ending: Ending, keep: Path | None, budget: float) -> Checked:
    outcome, reason = _outcome(ending, budget)
    run = replace(found.run, recording=str(keep) if keep is not None else None)
    names, cells = _cells({each.location.file for each in found.findings if each.location})
    values = {each.name: getattr(found, each.name) for each in fields(Diagnosis)}
    values |= {"run": run, "target": replace(found.target, outcome=outcome, reason=reason), "cells": cells}
    values["findings"] = tuple(_renamed(each, names) for each in found.findings)
    return Checked(**values)


def _cells(files: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Those of the files that are cells of the notebook: what it calls them, and their source by that name."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    numbers: Mapping[str, Any] = getattr(getattr(shell, "compile", None), "_filename_map", {})
    names = {file: f"In [{numbers[file]}]" for file in files if file in numbers}
    return names, {name: "".join(linecache.getlines(file)) for file, name in names.items()}


def _renamed(finding: Finding, names: Mapping[str, str]) -> Finding:
    place = finding.location
    return (
        replace(finding, location=replace(place, file=names[place.file])) if place and place.file in names else finding
    )


def _outcome(ending: Ending, budget: float) -> tuple[Outcome, str | None]:
    """How far it came, from how it ended."""
    from dnndoctor.subject.outcome import Happened, judge

    phases = ("evaluate",) if ending.kind == "stopped" else ()
    return judge(Happened(ending=ending, code=0, script="the loop", budget=budget, phases=phases, steps=ending.steps))


def _is_data(value: Any) -> bool:
    """A data set, or the tensors of one side by side, and not batches."""
    if isinstance(value, tuple):
        return len(value) > 1 and all(hasattr(each, "shape") for each in value)
    batches = hasattr(value, "batch_size") or hasattr(value, "sampler")
    return hasattr(value, "__getitem__") and hasattr(value, "__len__") and not isinstance(value, list) and not batches


def _given(value: Any) -> Any:
    from dnndoctor.subject.given import Given, parse_input

    if value is None:
        return Given()
    if isinstance(value, Mapping):
        inputs = [f"{name}={_spelled(each)}" for name, each in value.items()]
    elif isinstance(value, str) or hasattr(value, "shape") or _is_sizes(value):
        inputs = [_spelled(value)]
    elif isinstance(value, Sequence):
        inputs = [_spelled(each) for each in value]
    else:
        raise BadInput(f"input is of type {type(value).__name__}: give sizes without the batch, such as (3, 32, 32)")
    for each in inputs:
        parse_input(each)
    return Given(inputs=tuple(inputs))


def _is_sizes(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(each, int) for each in value)


def _spelled(value: Any) -> str:
    """One input as on the command line; of a tensor, its first dimension is the batch."""
    if isinstance(value, str):
        return value
    if hasattr(value, "shape"):
        kind = str(value.dtype).rpartition(".")[2]
        sizes = ",".join(map(str, value.shape[1:])) or "scalar"
        return f"{sizes}:{'bool' if kind == 'bool' else 'int' if 'int' in kind else 'float'}"
    return ",".join(map(str, value)) or "scalar"
