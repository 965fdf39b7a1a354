from __future__ import annotations

import signal

import pytest

from dnndoctor.diagnosis import Outcome
from dnndoctor.subject.outcome import Happened, judge
from dnndoctor.subject.process import signal_in_words
from dnndoctor.subject.protocol import Ending

ALL = ("start", "observe", "learning-rate", "batch-size", "evaluate", "finish")


def happened(kind: str | None = None, steps: int = 0, code: int = 0, **more: object) -> Happened:
    ending = None
    if kind is not None:
        told = {name: more.pop(name) for name in ("message", "file", "line", "launched") if name in more}
        ending = Ending(kind=kind, steps=steps, code=code, **told)  # type: ignore[arg-type]
    facts: dict[str, object] = {"script": "train.py", "budget": 120.0, **more}
    return Happened(ending=ending, code=code, steps=steps, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["stopped", "finished"])
def test_examined(kind: str) -> None:
    assert judge(happened(kind, 50)) == (Outcome.EXAMINED, None)


@pytest.mark.parametrize("kind", ["stopped", "finished", "exit"])
def test_no_step_names_the_way_to_a_model(kind: str) -> None:
    outcome, reason = judge(happened(kind))
    assert outcome is Outcome.NOT
    assert reason is not None
    assert reason.startswith("no optimizer step was seen")
    assert "model file" in reason


CASES = [
    (happened("budget", 50, phases=ALL), Outcome.EXAMINED, None),
    (
        happened("budget", 30, phases=("start", "observe", "learning-rate", "finish")),
        Outcome.PARTLY,
        "the time budget of 120 s ran out during the learning-rate probe",
    ),
    (
        happened("budget", phases=("start", "observe")),
        Outcome.NOT,
        "no training step within 120 s; a larger --budget gives the script more time",
    ),
    (
        happened("exception", 7, message="ValueError: no", file="train.py", line=3),
        Outcome.PARTLY,
        "the script raised ValueError: no at train.py:3 after 7 optimizer steps",
    ),
    (
        happened("exception", message="ModuleNotFoundError: No module named 'nope'", file="train.py", line=1),
        Outcome.NOT,
        "the script raised ModuleNotFoundError: No module named 'nope' at train.py:1 before the first optimizer step",
    ),
    (
        happened("exception", 1, message="OutOfMemoryError: CUDA out of memory."),
        Outcome.PARTLY,
        "memory ran out after 1 optimizer step: OutOfMemoryError: CUDA out of memory.",
    ),
    (
        happened("exit", code=2, message="sys.exit(2)", output=("usage: x", "train.py: error: the following: --data")),
        Outcome.NOT,
        "the script did not accept its arguments (the following: --data); give them after --: train.py -- ARGUMENTS",
    ),
    (
        happened("exit", 3, code=1, message="no data here"),
        Outcome.PARTLY,
        "the script ended itself with exit code 1 (no data here) after 3 optimizer steps",
    ),
    (
        happened("exception", 50, message="OSError: disk full", phases=("observe", "evaluate")),
        Outcome.EXAMINED,
        None,
    ),
    (happened("exit", 50, code=1, phases=("observe", "learning-rate", "evaluate")), Outcome.EXAMINED, None),
    (
        happened("exception", message="EOFError: EOF when reading a line", file="train.py", line=3),
        Outcome.NOT,
        "the script asks for input at train.py:3, and a check has none to give before the first optimizer step; "
        "give it by an argument",
    ),
    (
        happened("finished", launched="python -I train.py"),
        Outcome.NOT,
        "no optimizer step was seen in train.py, nor in what it started (python -I train.py); "
        "if that one trains, give it as the target",
    ),
    (
        happened(None, 0, 1, output=("Traceback", "ImportError: no torch")),
        Outcome.NOT,
        "the script's process ended with exit code 1 before the first optimizer step: ImportError: no torch",
    ),
    (happened("interrupted", 4), Outcome.PARTLY, "interrupted after 4 optimizer steps"),
    (happened(None, 0, -2, interrupted=True), Outcome.NOT, "interrupted before the first optimizer step"),
    (
        happened(None, 4, -11),
        Outcome.PARTLY,
        "the script crashed (segmentation fault) after 4 optimizer steps",
    ),
    (
        happened(None, 4, -9, memory_kills=1),
        Outcome.PARTLY,
        "memory ran out: the system killed the script after 4 optimizer steps",
    ),
    (
        happened(None, 0, -9),
        Outcome.NOT,
        "the script was killed from outside (signal 9), most likely because memory ran out "
        "before the first optimizer step",
    ),
    (
        happened(None, 0, -9, killed=True),
        Outcome.NOT,
        "no training step within 120 s; a larger --budget gives the script more time",
    ),
    (
        happened(None, 9, -15, killed=True, phases=("start", "observe")),
        Outcome.PARTLY,
        "the time budget of 120 s ran out during the watching, and the script had to be ended",
    ),
    (
        happened(None, 2, 0),
        Outcome.PARTLY,
        "the script ended its process at once (os._exit, or another program in its place) after 2 optimizer steps",
    ),
]


@pytest.mark.parametrize(("facts", "outcome", "reason"), CASES)
def test_reason_in_words(facts: Happened, outcome: Outcome, reason: str | None) -> None:
    assert judge(facts) == (outcome, reason)


def test_told_ending_counts_more_than_a_crash_after_it() -> None:
    assert judge(happened("finished", 5, -11)) == (Outcome.EXAMINED, None)


def test_every_signal_has_words() -> None:
    assert signal_in_words(signal.SIGFPE) == "arithmetic error"
    assert signal_in_words(signal.SIGUSR1) == "SIGUSR1"
    assert signal_in_words(200) == "signal 200"
