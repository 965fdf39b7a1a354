"""What a test says about training: that a model, or a whole script, is healthy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnndoctor import config
from dnndoctor.api import Checked, as_selection, check, settings_with
from dnndoctor.config import FailOn
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.rule import State
from dnndoctor.select import known
from dnndoctor.workspace import BadInput, check_writable, write

Rules = str | Iterable[str] | None
WIDTH = 100


def assert_healthy(
    model: Any,
    train_loader: Any = None,
    *,
    select: Rules = None,
    ignore: Rules = None,
    fail_on: str | None = None,
    seed: int | None = 0,
    html: str | Path | None = None,
    **options: Any,
) -> Checked:
    """Examine the model as ``dnndoctor.check`` does, and raise AssertionError with what is wrong.

    ``select`` and ``ignore``: rules by code, prefix, name or practice, as a list or with commas. ``fail_on``: the
    least severity that fails, as in the settings ("error"). What could not be examined fails as well, and so does a
    selection of which no rule could judge. ``html``: where the report goes if it fails. ``options``: those of
    ``check`` (``loss_fn``, ``optimizer``, ``val_loader``, ``input``, ``steps``, ``probes``, ``budget``, ...).

    Gives the diagnosis. Raises BadInput, in one line, for what cannot be trained or for an unknown rule.
    """
    __tracebackhide__ = True
    limit = _limit(fail_on)
    _check_html(html)
    made = check(model, train_loader, select=select, ignore=ignore, seed=seed, **options)
    _assert(made, limit, select, html)
    return made


def assert_script_healthy(
    script: str | Path,
    args: Sequence[str] = (),
    *,
    select: Rules = None,
    ignore: Rules = None,
    fail_on: str | None = None,
    html: str | Path | None = None,
    **options: Any,
) -> Diagnosis:
    """Examine a training script as ``dnndoctor check`` does, and raise AssertionError with what is wrong.

    It runs unmodified in a process of its own, in the working directory. ``options``: settings by name (``steps``,
    ``budget``, ``seed``, ``repeat``, ``probes``, ``only_probes``, ``family``, ``keep_files``). The rest is as for
    ``assert_healthy``.
    """
    __tracebackhide__ = True
    from dnndoctor.examination import examine
    from dnndoctor.repeated import examine_repeatedly
    from dnndoctor.subject.program import locate

    limit = _limit(fail_on)
    _check_html(html)
    settings = settings_with(select, ignore, **options)
    program = locate(str(script))
    run = examine_repeatedly if settings.repeat > 1 else examine
    made = run(program, tuple(args), settings)
    _assert(made, limit, select, html)
    return made


def _limit(fail_on: str | None) -> FailOn:
    if fail_on is None:
        return config.load(Path()).fail_on
    try:
        return FailOn(fail_on)
    except ValueError:
        raise BadInput(f'fail_on is "{fail_on}": one of {", ".join(FailOn)}') from None


def _check_html(html: str | Path | None) -> None:
    if html is not None:
        check_writable(Path(html))


def _assert(made: Diagnosis, limit: FailOn, select: Rules, html: str | Path | None) -> None:
    __tracebackhide__ = True
    complaint = _complaint(made, limit, select)
    if complaint is None:
        return
    if html is not None:
        write(Path(html), _page(made))
        complaint += f"\nreport: {html}"
    raise AssertionError(complaint)


def _complaint(made: Diagnosis, limit: FailOn, select: Rules) -> str | None:
    """What is wrong, as the terminal shows it; None where nothing is."""
    from dnndoctor.reports import terminal

    counted = tuple(each for each in made.findings if each.severity and limit.reached(each.severity))
    if counted:
        return terminal.full(replace(made, findings=counted, practices=()), WIDTH, False, Path()).rstrip("\n")
    if made.crashed:
        return "; ".join(f"rule {each.rule.code} failed, a fault of dnndoctor: {each.reason}" for each in made.crashed)
    if made.target.outcome is not Outcome.EXAMINED:
        return f"{made.target.outcome.replace('-', ' ')}: {made.target.reason or 'no reason was recorded'}"
    return _unjudged(made, select)


def _unjudged(made: Diagnosis, select: Rules) -> str | None:
    """A rule that was asked for and could not judge has not passed."""
    asked = as_selection(select) or ()
    every = tuple(each.rule for each in made.results)
    for selector in asked:
        meant = {each.code for each in known(selector, every)} if every else set()
        mine = [each for each in made.results if each.rule.code in meant]
        if mine and all(each.state is State.NOT_EXAMINED for each in mine):
            return f"{selector} was not examined: {mine[0].reason}"
    return None


def _page(made: Diagnosis) -> str:
    from dnndoctor.reports.html import render

    return made.html() if isinstance(made, Checked) else render(made, Path())
