"""From what happened to the child to the outcome and its reason in words: one pure function."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnndoctor.diagnosis import Outcome
from dnndoctor.probe_names import PROBES
from dnndoctor.subject.process import signal_in_words

if TYPE_CHECKING:
    from dnndoctor.subject.protocol import Ending

NO_STEP = (
    "no optimizer step was seen in {script}, so there is no training to examine; a model file can be given "
    "instead: it defines model, and may define train_loader (or train_data), loss_fn and optimizer"
)
MEMORY = re.compile(r"^(\w+\.)*(MemoryError|OutOfMemoryError)\b|out of memory|can't allocate memory|std::bad_alloc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """The facts.

    ``ending`` is None where the child did not get to tell. ``code``: as ``Popen.returncode``, negative for a signal.
    ``killed``: we ended the child, since it did not stop by itself. ``phases``: those that were reached, in order.
    ``memory_kills``: how often the kernel killed for memory meanwhile. ``output``: the last lines of the script's.
    """

    ending: Ending | None
    code: int
    script: str
    budget: float
    killed: bool = False
    interrupted: bool = False
    phases: tuple[str, ...] = ()
    steps: int = 0
    memory_kills: int | None = None
    output: tuple[str, ...] = ()


def judge(happened: Happened) -> tuple[Outcome, str | None]:
    """How far the examination came, and why no further."""
    kind = happened.ending.kind if happened.ending else None
    if happened.interrupted or kind == "interrupted":
        return _partly(happened), f"interrupted{_when(happened)}"
    if happened.ending is None:
        return _partly(happened), _silent(happened)
    if kind in ("stopped", "finished", "budget"):
        return _orderly(happened, kind)
    if kind in ("exit", "exception") and happened.steps and "evaluate" in happened.phases:
        return Outcome.EXAMINED, None  # it broke off after the probes: nothing of the examination is missing
    return _partly(happened), _failed(happened, happened.ending)


def told(happened: Happened, ending: Ending) -> str:
    """In words, how a script broke off."""
    return _failed(happened, ending)


def _orderly(happened: Happened, kind: str) -> tuple[Outcome, str | None]:
    if kind == "budget":
        if not happened.steps:
            return Outcome.NOT, _no_step_in_time(happened)
        if "evaluate" in happened.phases:  # it comes after the probes
            return Outcome.EXAMINED, None
        return Outcome.PARTLY, f"the time budget of {happened.budget:g} s ran out{_during(happened)}"
    if not happened.steps:
        said = happened.ending.message if happened.ending else ""
        return Outcome.NOT, said or _no_step(happened)
    return Outcome.EXAMINED, None


def _no_step(happened: Happened) -> str:
    launched = happened.ending.launched if happened.ending else ""
    if launched:
        return (
            f"no optimizer step was seen in {happened.script}, nor in what it started ({launched}); "
            "if that one trains, give it as the target"
        )
    return NO_STEP.format(script=happened.script)


def _failed(happened: Happened, ending: Ending) -> str:
    if ending.kind == "failed":
        return f"dnndoctor itself failed{_when(happened)}, which is a bug of its own: {ending.message}"
    if ending.kind == "exit":
        return _exited(happened, ending)
    at = f" at {ending.file}:{ending.line}" if ending.file and ending.line else ""
    said = ending.message or "an exception"
    if MEMORY.search(ending.message):
        return f"memory ran out{_when(happened)}: {said}{at}"
    if ending.message.startswith("EOFError: EOF when reading a line"):
        return f"the script asks for input{at}, and a check has none to give{_when(happened)}; give it by an argument"
    return f"the script raised {said}{at}{_when(happened)}"


def _exited(happened: Happened, ending: Ending) -> str:
    usage = [line for line in happened.output if ": error: " in line]
    if ending.code == 2 and usage and not happened.steps:
        asked = usage[-1].split(": error: ", 1)[1]
        return f"the script did not accept its arguments ({asked}); give them after --: {happened.script} -- ARGUMENTS"
    if ending.code == 0:
        return _no_step(happened) if not happened.steps else f"the script ended{_when(happened)}"
    said = f" ({ending.message})" if ending.message and not ending.message.startswith("sys.exit(") else ""
    return f"the script ended itself with exit code {ending.code}{said}{_when(happened)}"


def _silent(happened: Happened) -> str:
    """The child is gone and told nothing."""
    if happened.killed:
        if not happened.steps:
            return _no_step_in_time(happened)
        return f"the time budget of {happened.budget:g} s ran out{_during(happened)}, and the script had to be ended"
    if happened.code == -9:
        return f"{_killed(happened)}{_when(happened)}"
    if happened.code < 0:
        return f"the script crashed ({signal_in_words(-happened.code)}){_when(happened)}"
    if happened.code == 0:
        return f"the script ended its process at once (os._exit, or another program in its place){_when(happened)}"
    last = f": {happened.output[-1]}" if happened.output else ""
    return f"the script's process ended with exit code {happened.code}{_when(happened)}{last}"


def _killed(happened: Happened) -> str:
    if happened.memory_kills:
        return "memory ran out: the system killed the script"
    return "the script was killed from outside (signal 9), most likely because memory ran out"


def _no_step_in_time(happened: Happened) -> str:
    return f"no training step within {happened.budget:g} s; a larger --budget gives the script more time"


def _partly(happened: Happened) -> Outcome:
    explained = happened.ending is not None and happened.ending.explained
    return Outcome.PARTLY if happened.steps or explained else Outcome.NOT


def _when(happened: Happened) -> str:
    if not happened.steps:
        return " before the first optimizer step"
    return f" after {happened.steps} optimizer step{'s' if happened.steps > 1 else ''}"


def _during(happened: Happened) -> str:
    names = {**{each: f"the {each} probe" for each in PROBES}, "observe": "the watching"}
    last = next((each for each in reversed(happened.phases) if each in names), None)
    return f" during {names[last]}" if last else ""
