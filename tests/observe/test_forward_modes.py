"""The watch's own function mode comes and goes beside those of the user's, which never notice."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from dnndoctor.observe.forward import ForwardWatch
from tests.observe.watching import modes


class Mine(TorchFunctionMode):
    """A mode of the user's; counts its calls and may do something within one."""

    def __init__(self, within: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.calls = 0
        self.within = within

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.calls += 1
        self.within()
        return func(*args, **(kwargs or {}))


def fail(bug: Exception) -> None:
    raise bug


@pytest.fixture
def watch() -> Iterator[ForwardWatch]:
    before = modes()
    forward = ForwardWatch(lambda: ("", None, None), lambda *_: None, fail)
    yield forward
    forward.before_use = None
    forward.release()
    assert modes() == before


ACTIONS: dict[str, Callable[[ForwardWatch], Any]] = {
    "engage": lambda forward: forward.engage(),
    "engage, inactive": lambda forward: forward.engage(active=False),
    "release": lambda forward: forward.release(),
    "enter": lambda forward: forward.__enter__(),
    "exit": lambda forward: forward.__exit__(),
}


def without(forward: ForwardWatch) -> list[Any]:
    return [each for each in modes() if each is not forward]


@given(
    st.lists(st.sampled_from([*ACTIONS, "user enters", "user's device", "user exits", "operation"]), max_size=25),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_in_any_order_the_user_s_stack_is_the_user_s(actions: list[str], awaiting: bool) -> None:
    forward = ForwardWatch(lambda: ("", None, None), lambda *_: None, fail)
    forward.before_use = (lambda *_: None) if awaiting else None
    before, expected, contexts = modes(), modes(), []
    try:
        for action in actions:
            if action == "user enters":
                contexts.append(Mine())
                contexts[-1].__enter__()
                expected.append(contexts[-1])
            elif action == "user's device":
                contexts.append(torch.device("cpu"))  # type: ignore[arg-type]
                contexts[-1].__enter__()
                expected.append(without(forward)[-1])
            elif action == "user exits" and contexts:
                contexts.pop().__exit__(None, None, None)
                expected.pop()
            elif action == "operation":
                torch.ones(2).add(1)
            elif action in ACTIONS:
                ACTIONS[action](forward)
            assert without(forward) == expected
            assert modes().count(forward) <= 1
            assert forward not in modes() or modes()[0] is forward
    finally:
        for each in reversed(contexts):
            each.__exit__(None, None, None)
        forward.before_use = None
        forward.release()
    assert modes() == before


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("where", ["in the watch's own look", "in the user's mode", "in a mode above the user's"])
def test_within_a_handled_call(action: str, where: str, watch: ForwardWatch) -> None:
    act = ACTIONS[action]
    calls: list[str] = []

    def look(*_: Any) -> None:
        calls.append(action)
        act(watch)

    def once() -> None:
        if not calls:
            look()

    watch.engage()
    if where == "in the watch's own look":
        watch.before_use = look
        with Mine() as mine:
            torch.ones(2).add(1)
            assert without(watch) == [mine]
        watch.before_use = None
    else:
        with Mine(once) as mine, ExitStack() as stack:
            if where == "in a mode above the user's":
                stack.enter_context(torch.device("cpu"))
            there = without(watch)
            torch.ones(2).add(1)
            assert without(watch) == there
            assert mine in there
    assert calls
    assert modes().count(watch) <= 1


def test_the_user_s_mode_sees_what_it_saw_before(watch: ForwardWatch) -> None:
    def work() -> int:
        with Mine() as mine:
            for i in range(3):
                if i == 1:
                    watch.engage()
                torch.ones(2).add(1).sum()
                if i == 1:
                    watch.release()
        return mine.calls

    engaged = work()
    with Mine() as alone:
        for _ in range(3):
            torch.ones(2).add(1).sum()
    assert engaged == alone.calls


def test_entered_inside_the_user_s_block_it_outlives_the_block(watch: ForwardWatch) -> None:
    seen: list[str] = []
    watch.note = lambda func, *_: seen.append(func.__name__)
    with torch.device("cpu"):
        watch.engage()
        torch.ones(2).add(1)
    torch.ones(2).mul(2)
    assert "add" in seen
    assert "mul" in seen
    with torch.device("cpu"):
        watch.release()
    seen.clear()
    torch.ones(2).add(1)
    assert seen == []


def test_an_exception_within_an_operation_leaves_everything_in_place(watch: ForwardWatch) -> None:
    watch.engage()
    with Mine() as mine:
        with pytest.raises(RuntimeError):
            torch.ones(2) @ torch.ones(3)
        assert modes() == [watch, mine]
    seen: list[str] = []
    watch.note = lambda func, *_: seen.append(func.__name__)
    torch.ones(2).add(1)
    assert "add" in seen
    watch.release()
    assert modes() == []


def test_a_generator_that_leaves_its_mode_late(watch: ForwardWatch) -> None:
    """Its block is left in the middle of another one's, as with a suspended generator."""

    @contextmanager
    def block() -> Iterator[Mine]:
        with Mine() as mine:
            yield mine

    opened = block()
    first = opened.__enter__()
    watch.engage()
    with Mine() as second:
        assert modes() == [watch, first, second]
        watch.release()
        watch.engage()
    opened.__exit__(None, None, None)
    assert modes() == [watch]


def test_a_thread_of_the_user_s_has_a_stack_of_its_own(watch: ForwardWatch) -> None:
    watch.engage()
    stacks: list[list[Any]] = []

    def work() -> None:
        stacks.append(modes())
        with Mine() as mine:
            torch.ones(2).add(1)
            stacks.append(modes())
            assert modes() == [mine]
        watch.release()  # where it never was
        stacks.append(modes())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [len(each) for each in stacks] == [0, 1, 0]
    assert modes() == [watch]


def test_operations_of_many_threads_at_once_do_not_mix_their_stacks(watch: ForwardWatch) -> None:
    """While a call is handled in one thread, another one enters and leaves."""
    wrong: list[list[Any]] = []
    watch.before_use = lambda *_: None

    def work(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(60):
            with Mine() as mine:
                watch.engage() if choose.random() < 0.5 else watch.release()
                torch.ones(2).add(1)
                if without(watch) != [mine] or modes().count(watch) > 1:
                    wrong.append(modes())
        watch.__exit__()
        if modes():
            wrong.append(modes())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []
