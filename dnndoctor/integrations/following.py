"""What the callbacks have in common: a recorder from a training's beginning to its end, and then the report."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from dnndoctor.api import Checked
    from dnndoctor.recorder.session import Watching
    from dnndoctor.recorder.step import Listener

MEASURED_BY_US = (
    "loss",
    "learning rate",
    "gradient norm",
)  # roles; what frameworks log of these is thinned or averaged


class Options(TypedDict, total=False):
    """How a training is recorded and reported.

    ``overhead``: the share of its time that recording may take (0.01). ``path``: of the recording, by default a new one
    under ``.dnndoctor/``. ``max_bytes``: how large it may grow. ``listeners``: sinks and others that follow.
    ``report``: whether the diagnosis is printed on standard error at the end (True). ``html``: where to write its page.
    """

    overhead: float
    path: str | Path | None
    max_bytes: int
    listeners: Sequence[Listener]
    report: bool
    html: str | Path | None


class Following:
    """Follows one training after another. Whatever goes wrong here is told and never ends the training.

    ``watching``: the recording that is made now. ``diagnosis``: of the training that ended last.
    """

    def __init__(self, options: Options) -> None:
        known = Options.__annotations__
        unknown = next((each for each in options if each not in known), None)
        if unknown is not None:
            raise TypeError(f"there is no option {unknown!r}; there are {', '.join(known)}")
        self._options: Any = dict(options)
        self._report = self._options.pop("report", True)
        self._html = self._options.pop("html", None)
        self.watching: Watching | None = None
        self.diagnosis: Checked | None = None
        self._check()

    def _check(self) -> None:
        """Raises BadInput where it is still early enough to mend it."""
        from dnndoctor.recorder.session import checked_overhead
        from dnndoctor.workspace import check_writable

        checked_overhead(self._options.get("overhead", 0.01))
        for each in (self._options.get("path"), self._html):
            if each is not None:
                check_writable(Path(each))

    def begin(self, model: Any, optimizers: Any) -> None:
        """A training begins; ``model`` and ``optimizers`` may be None: whatever makes steps.

        What is no optimizer of torch is left out.
        """
        from torch.optim.optimizer import Optimizer

        import dnndoctor
        from dnndoctor.workspace import BadInput

        self.end()
        listed = optimizers if isinstance(optimizers, list | tuple) else [optimizers]
        try:
            self.watching = dnndoctor.watch(
                model, [each for each in listed if isinstance(each, Optimizer)] or None, **self._options
            )
        except (BadInput, OSError) as why:
            _say(f"{why}; this training is not recorded")
            return
        atexit.register(self.end)

    def batch(self, inputs: Any) -> None:
        """A step begins with this batch."""
        if self.watching is not None:
            from dnndoctor.observe.data import flat_tensors

            self.watching.batch(tuple(flat_tensors(inputs)))

    def log(self, figures: Mapping[str, Any]) -> None:
        """What the framework measured, by name; of what the recorder measures itself nothing is taken."""
        if self.watching is None:
            return
        from dnndoctor.postmortem.names import role

        for name, value in figures.items():
            number = _number(value)
            if number is not None and role(name).value not in MEASURED_BY_US:
                self.watching.log(name, number)

    def end(self, outcome: str = "finished", error: BaseException | None = None) -> None:
        """The training has ended: close the recording, and report. More than once does nothing."""
        if self.watching is None:
            return
        watching, self.watching = self.watching, None
        atexit.unregister(self.end)
        from dnndoctor.recorder.ranks import rank_and_world

        watching.close(outcome, error)
        if not watching.own or rank_and_world()[0] != 0:
            return  # a run reports itself, and other ranks are told of beside the first
        try:
            self.diagnosis = watching.report()
            self._tell(self.diagnosis, watching)
        except Exception as bug:  # noqa: BLE001 - the training has ended well, and its program goes on
            _say(f"no report ({type(bug).__name__}: {bug}); the recording is {watching.path}")

    def _tell(self, found: Checked, watching: Watching) -> None:
        for each in watching.recorder.listeners:
            reported = getattr(each, "reported", None)  # sinks that show the diagnosis as well
            if reported is not None:
                reported(found)
        if self._html is not None:
            found.save(self._html)
        if self._report:
            print(str(found), file=sys.stderr)
            more = self._html or f"dnndoctor report {watching.path} --html report.html"
            print(f"dnndoctor: the page: {more}", file=sys.stderr, flush=True)

    def __getstate__(self) -> dict[str, Any]:
        """Frameworks copy callbacks and send them to other processes: a recording stays where it is made."""
        return self.__dict__ | {"watching": None, "diagnosis": None}


def _number(value: Any) -> float | None:
    """A figure that is one number, whether or not it is finite; None for all else."""
    if isinstance(value, bool | str | bytes | Iterable) and not hasattr(value, "numel"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _say(text: str) -> None:
    print(f"dnndoctor: {' '.join(text.split())}", file=sys.stderr, flush=True)
