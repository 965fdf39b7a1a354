from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dnndoctor.subject import world


def raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def fail(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


NOTHING: dict[str, str] = {}
WANTING: list[Callable[[], object]] = [
    lambda: NOTHING["LOCAL_RANK"],
    lambda: int(NOTHING.get("WORLD_SIZE")),  # type: ignore[arg-type]
    fail(
        ValueError("Error initializing torch.distributed using env:// rendezvous: environment variable RANK expected")
    ),
    fail(RuntimeError("please start this with torchrun")),
    fail(SystemExit("usage: python -m torch.distributed.launch train.py")),
    fail(ValueError("Default process group has not been initialized, please make sure to call init_process_group.")),
]
OTHER: list[Callable[[], object]] = [
    lambda: NOTHING["rank"],
    lambda: int("RANK of the matrix"),
    fail(RuntimeError("disk full")),
    fail(TypeError("unsupported operand type(s): 'int' and 'str'")),
    fail(SystemExit(2)),
]


@pytest.mark.parametrize("act", WANTING)
def test_scripts_for_torchrun_are_known_by_what_they_miss(act: Callable[[], object]) -> None:
    error = raised(act)
    assert world.is_wanted(error, {})
    assert not world.is_wanted(error, {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}), "it is all there"


@pytest.mark.parametrize("act", [OTHER[0], *OTHER[2:]])
def test_other_faults_are_no_reason_to_run_again(act: Callable[[], object]) -> None:
    assert not world.is_wanted(raised(act), {})


def test_a_world_of_one() -> None:
    variables = world.environment()
    assert set(world.NAMES) <= set(variables)
    assert (variables["RANK"], variables["WORLD_SIZE"]) == ("0", "1")
    assert 1024 <= int(variables["MASTER_PORT"]) < 65536
    assert os.environ.get("RANK") is None
