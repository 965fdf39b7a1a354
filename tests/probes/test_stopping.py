"""The script is ended at a border, and a script that catches what ends it is left at the next one."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dnndoctor.probes.clock import Stop
from tests.observe.watching import Examination, watching

X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


class Left(BaseException):
    """Stands in for the end of the process."""


class Loop:
    """An endless one; ``swallow`` catches what comes out of a step of it."""

    def __init__(self, swallow: type[BaseException] | None = None) -> None:
        self.model = nn.Linear(5, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.swallow = swallow
        self.evaluates = True
        self.caught: list[str] = []
        self.steps = 0
        self.steps_at_catch: list[int] = []

    def step(self) -> None:
        loss = nn.functional.cross_entropy(self.model(X), Y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        if self.evaluates:
            with torch.no_grad():
                self.model(X)  # after which a few more steps are enough

    def run(self) -> None:
        for _ in range(5000):
            try:
                self.step()
            except Left:
                raise
            except BaseException as error:
                if self.swallow is None or not isinstance(error, self.swallow):
                    raise
                self.caught.append(str(error))
                self.steps_at_catch.append(self.steps)
                if len(self.caught) > 5:
                    return


def leaver(found: Examination, kinds: list[str]) -> None:
    def leave(kind: str) -> NoReturn:
        kinds.append(kind)
        raise Left(kind)

    found.conductor.clock.leave = leave


def test_an_except_exception_does_not_hold_it_up(tmp_path: Path) -> None:
    loop = Loop(Exception)
    with watching(tmp_path, steps=5) as found:
        loop.run()
    assert found.stopped == "stopped"
    assert loop.caught == []


def test_what_is_swallowed_is_raised_again_at_the_next_border(tmp_path: Path) -> None:
    loop = Loop(BaseException)
    with watching(tmp_path, steps=5) as found:
        loop.run()
    assert loop.caught == ["stopped"] * 6
    assert loop.steps_at_catch[1:] == [loop.steps_at_catch[0]] * 5
    assert found.conductor.clock.stopping == "stopped"


def test_what_is_swallowed_leads_to_leaving(tmp_path: Path) -> None:
    loop, kinds = Loop(BaseException), list[str]()
    with watching(tmp_path, steps=5) as found:
        leaver(found, kinds)
        with pytest.raises(Left):
            loop.run()
    assert loop.caught == ["stopped"]
    assert kinds == ["stopped"]


BORDERS: dict[str, Callable[[Loop], Any]] = {
    "a forward pass": lambda loop: loop.model(X),
    "an evaluation": lambda loop: torch.no_grad()(loop.model)(X),
    "a backward": lambda loop: nn.functional.cross_entropy(X @ loop.model.weight.T, Y).backward(),
    "a step": lambda loop: loop.optimizer.step(),
    "a step with a closure": lambda loop: loop.optimizer.step(lambda: 1.0),
    "a batch": lambda loop: next(iter(DataLoader(TensorDataset(X, Y), batch_size=4))),
}


@pytest.mark.parametrize("border", BORDERS)
def test_every_border_is_the_next_one(border: str, tmp_path: Path) -> None:
    loop, kinds = Loop(), list[str]()
    with watching(tmp_path, steps=5) as found:
        leaver(found, kinds)
        with pytest.raises(Stop):
            loop.run()
        with pytest.raises(Left):
            BORDERS[border](loop)
    assert kinds == ["stopped"]


def test_no_border_is_no_end(tmp_path: Path) -> None:
    """The last words of a script, such as a picture or a file, are its own."""
    loop, kinds = Loop(), list[str]()
    with watching(tmp_path, steps=5) as found:
        leaver(found, kinds)
        with pytest.raises(Stop):
            loop.run()
        assert float((loop.model.weight.detach() * 2).sum()) != 0
        assert len(loop.model.state_dict()) == 2
    assert kinds == []


def test_a_process_that_is_left_at_once_is_never_raised_through(tmp_path: Path) -> None:
    loop, kinds = Loop(BaseException), list[str]()
    with watching(tmp_path, steps=5) as found:
        leaver(found, kinds)
        found.conductor.clock.leaves_at_once = True
        with pytest.raises(Left):
            loop.run()
    assert loop.caught == []
    assert kinds == ["stopped"]


def test_training_in_another_thread_is_left_and_not_raised_in(tmp_path: Path) -> None:
    kinds: list[str] = []
    ended: list[str] = []
    with watching(tmp_path, steps=5) as found:
        leaver(found, kinds)

        def work() -> None:
            try:
                Loop(BaseException).run()
            except Left as left:
                ended.append(str(left))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert ended == kinds == ["stopped"]
    assert len(found.losses) >= 5


def test_when_the_time_is_up_the_next_border_ends_it(tmp_path: Path) -> None:
    loop = Loop()
    loop.evaluates = False
    with watching(tmp_path, seconds=0.3) as found:
        loop.run()
    assert found.stopped == "budget"
    assert found.losses


def test_where_others_wait_nothing_is_tried(tmp_path: Path) -> None:
    loop = Loop()
    with watching(tmp_path, steps=6, probes=True) as found:
        found.conductor.watch_only("the script trains in 2 processes")
        loop.run()
    assert found.stopped == "stopped"
    assert len(found.losses) == 6
    assert found.rows["trial"] == []
    reading = ("sample-order", "data-scan", "schedule", "compile")  # or waits to be asked for
    tried = {row["name"]: row["facts"] for row in found.rows["probe"] if row["name"] not in reading}
    assert {"learning-rate", "batch-size"} <= tried.keys()
    others = {name: facts for name, facts in tried.items() if facts != {"missing": "the script trains in 2 processes"}}
    assert others == {}


def test_a_bug_of_ours_stops_the_script_and_changes_no_step_before(tmp_path: Path) -> None:
    loop = Loop()
    with watching(tmp_path, sound=False) as found:

        def broken(*_: Any) -> NoReturn:
            raise KeyError("ours")

        for _ in range(3):
            loop.step()
        found.watch.after_step = broken  # type: ignore[method-assign, assignment]
        with pytest.raises(Stop, match="failed"):
            loop.run()
    assert found.watch.failure is not None
    assert "KeyError: 'ours'" in found.watch.failure
    assert len(found.losses) == 3
