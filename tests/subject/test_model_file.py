"""What a file offers is found by name, by what it holds, or by what the user says."""

from __future__ import annotations

import contextlib
import sys
import types
from typing import Any

import pytest
from hypothesis import given as vary
from hypothesis import strategies as st
from torch import nn

from dnndoctor.subject.given import Given, GivenInput, parse_input
from dnndoctor.subject.model_file import gather
from dnndoctor.subject.objects import batches_of, optimizer_of
from dnndoctor.subject.plain_loop import BadTarget
from dnndoctor.workspace import BadInput

NET = """
from torch import nn
class {name}(nn.Module):
    def __init__(self{arguments}):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        {body}
    def forward(self, x): return self.layer(x)
"""


@pytest.fixture
def names(tmp_path: Any) -> Any:
    made: list[str] = []

    def run(*sources: str) -> dict[str, Any]:
        module = types.ModuleType(f"file_of_models_{len(made)}")
        path = tmp_path / f"{module.__name__}.py"
        path.write_text("\n".join(sources))
        module.__file__ = str(path)
        sys.modules[module.__name__] = module
        made.append(module.__name__)
        exec(compile(path.read_text(), str(path), "exec"), vars(module))
        return vars(module)

    yield run
    for name in made:
        del sys.modules[name]


def net(name: str, arguments: str = "", body: str = "pass") -> str:
    return NET.format(name=name, arguments=arguments, body=body)


def found(names: dict[str, Any], **given: Any) -> str:
    offer = gather(names, Given(**given))
    assert offer is not None
    return type(offer.model).__name__


def test_where_no_model_is_there_is_nothing_to_train(names: Any) -> None:
    assert gather(names("x = 1"), Given()) is None
    with pytest.raises(BadTarget, match="no model was found"):
        gather(names("x = 1"), Given(loss="x"))


def test_by_name_by_object_and_by_class(names: Any) -> None:
    assert found(names(net("A"), net("B"), "model = B")) == "B"
    assert found(names(net("A"), net("B"), "model = B()")) == "B"
    assert found(names(net("A"), "def model(): return A()")) == "A"
    assert found(names(net("A"), net("B"), "net = A(); criterion = nn.CrossEntropyLoss()")) == "A"
    assert found(names(net("A"))) == "A"


def test_blocks_are_no_models(names: Any) -> None:
    assert found(names(net("Block", ", width=3"), net("Net", body="self.block = Block()"))) == "Net"
    assert found(names(net("Base"), "class Net(Base): pass")) == "Net"


def test_a_function_that_builds_it_is_found(names: Any) -> None:
    assert found(names(net("Net", ", depth"), "def small(): return Net(3)")) == "Net"
    with pytest.raises(BadTarget, match="small, large"):
        found(names(net("Net", ", depth"), "def small(): return Net(3)", "def large():\n    n = Net(9)\n    return n"))
    assert (
        found(names(net("Net", ", depth"), "def small(): return Net(3)", "def large(): return Net(9)"), model="large")
        == "Net"
    )


def test_several_are_named(names: Any) -> None:
    with pytest.raises(BadTarget, match=r"A, B: say which with --model NAME"):
        found(names(net("A"), net("B")))


def test_a_name_in_another_module(names: Any) -> None:
    offer = gather(names(net("A")), Given(loss="torch.nn.functional:mse_loss", optimizer="torch.optim:SGD"))
    assert offer is not None
    assert offer.loss is nn.functional.mse_loss
    assert optimizer_of(offer.optimizer, offer.model).param_groups[0]["params"]


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        (3, "train_loader", "iterable of batches"),
        (iter([1]), "train_loader", "used up after one pass"),
        ({}, "train_data", "is empty"),
        (3, "train_data", "has to be a dataset"),
        (lambda path: [], "train_loader", r"needs arguments \(path\)"),
    ],
)
def test_data_that_cannot_be_used(value: Any, name: str, said: str) -> None:
    with pytest.raises(BadTarget, match=said):
        batches_of(value, name)


def test_a_generator_function_is_called_for_every_epoch() -> None:
    def batches() -> Any:
        yield from (1, 2)

    for function in (batches, lambda: iter([1, 2])):
        again, ours = batches_of(function, "train_loader")
        assert [list(again), list(again), ours] == [[1, 2], [1, 2], False]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("3,32,32", GivenInput((3, 32, 32))),
        ("3x32x32", GivenInput((3, 32, 32))),
        ("128:int", GivenInput((128,), "int")),
        ("128:int50257", GivenInput((128,), "int", 50257)),
        ("scalar:int1000", GivenInput((), "int", 1000)),
        ("attention_mask=128:bool", GivenInput((128,), "bool", None, "attention_mask")),
    ],
)
def test_inputs_as_they_are_written(text: str, meant: GivenInput) -> None:
    assert parse_input(text) == meant


@vary(st.text(max_size=12))
def test_any_text_is_an_input_or_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        assert isinstance(parse_input(text), GivenInput)


@pytest.mark.parametrize("text", ["", "3,", "a", "3:text", "0", "3:float7", "3:int0", "=3", "-1"])
def test_what_is_no_input_is_one_line(text: str) -> None:
    with pytest.raises(BadInput, match=r"expected \[NAME=\]SIZES\[:KIND\]"):
        parse_input(text)
