"""What loop was found, from literal rows."""

from __future__ import annotations

from typing import Any

from dnndoctor.findings import Location
from dnndoctor.measurements import FoundLoss, Missing, TrainingLoop
from dnndoctor.recording.found import training_loop
from dnndoctor.recording.graph import Graph
from dnndoctor.recording.reader import Rows


def operation(index: int, name: str, *inputs: int, line: int = 1, module: str = "", weight: str = "") -> dict[str, Any]:
    return {
        "id": index,
        "name": name,
        "module": module,
        "module_class": "Linear" if weight else "",
        "inputs": list(inputs),
        "parameters": [weight] if weight else [],
        "shape": [8, 4],
        "location": Location("train.py", line),
    }


def model(name: str, *optimizers: int, kind: str = "Net", line: int = 3, **more: Any) -> dict[str, Any]:
    row = {"name": name, "class": kind, "prefix": "", "parameters": 10, "trainable": 10 if optimizers else 0}
    return {**row, "optimizers": list(optimizers), "location": ["train.py", line, 1], "alive": True, **more}


def optimizer(steps: int = 20, line: int = 5, name: str = "Adam", rate: float = 1e-3) -> dict[str, Any]:
    return {
        "name": name,
        "steps": steps,
        "location": Location("train.py", line),
        "facts": {"peak_rate": rate, "rates": [rate]},
    }


def found(
    operations: list[dict[str, Any]] | None = None, tables: dict[str, Any] | None = None, **run: Any
) -> TrainingLoop:
    rows = Rows({"step": [{"step": 0, "loss": 1.0}], "operation": operations or [], **(tables or {})}, run)
    loop = training_loop(rows, Graph(rows))
    assert isinstance(loop, TrainingLoop)
    return loop


def test_without_a_step_there_is_no_loop() -> None:
    assert training_loop(Rows({}), Graph(Rows({}))) == Missing("no optimizer step was seen")


def test_trained_models_come_first_and_optimizers_name_theirs() -> None:
    models = [model("teacher", kind="Big"), model("student", 0)]
    loop = found(tables={"optimizer": [optimizer()]}, loop={"models": models, "optimizers": [[1]]})
    assert [each.name for each in loop.models] == ["student", "teacher"]
    assert loop.models[1].trainable == 0
    assert loop.optimizers[0].models == ("student",)


def test_a_model_built_again_for_every_fold_is_listed_once_with_the_steps_of_all() -> None:
    models = [model("model", i, alive=i == 2) for i in range(3)]
    tables = {"optimizer": [optimizer(20) for _ in range(3)]}
    loop = found(tables=tables, loop={"models": models, "optimizers": [[0], [1], [2]]})
    assert [each.name for each in loop.models] == ["model"]
    assert [(each.models, each.steps) for each in loop.optimizers] == [(("model",), 60)]


def test_instances_of_one_class_are_told_apart() -> None:
    models = [model("nets[0]", 0), model("nets[1]", 0)]
    assert [each.name for each in found(loop={"models": models}).models] == ["nets[0]", "nets[1]"]
    unnamed = [model("", 0), model("", 0)]
    assert [each.name for each in found(loop={"models": unnamed}).models] == ["Net", "Net 2"]


def test_known_losses_are_named_at_their_call() -> None:
    operations = [operation(0, "linear"), operation(1, "cross_entropy", 0, line=7), operation(2, "div", 1, line=9)]
    loop = found(operations, backward_roots=[2], loop={"losses": {"1": ["train.py", 12, 8]}})
    assert loop.losses == (FoundLoss("cross_entropy", Location("train.py", 12, 8)),)


def test_an_expression_is_named_where_it_is_made_beside_a_known_loss_of_another_backward() -> None:
    operations = [operation(0, "mse_loss", line=7), operation(1, "neg", line=9), operation(2, "l1_loss", line=20)]
    loop = found(operations, backward_roots=[0, 1])
    assert [(each.name, each.location.line if each.location else 0) for each in loop.losses] == [
        ("mse_loss", 7),
        ("expression", 9),
    ], "an operation that no backward reaches is no loss"


def test_a_loss_that_was_not_seen_is_where_backward_is_called() -> None:
    loop = found(backward_location=["train.py", 30, 5])
    assert loop.losses == (FoundLoss("expression", Location("train.py", 30, 5)),)


def test_loaders_with_their_roles() -> None:
    facts = {"dataset": "Digits", "batch_size": 64, "workers": 2, "steps": 0, "batches": 3}
    tables = {
        "loader": [
            {"facts": facts, "location": Location("train.py", 4)},
            {"facts": {**facts, "steps": 50}, "location": Location("train.py", 3)},
        ]
    }
    assert [(each.role, each.workers) for each in found(tables=tables).loaders] == [("training", 2), ("evaluation", 2)]
    assert found().loaders == ()


def test_a_batch_sampler_s_size_is_what_the_model_was_given() -> None:
    facts = {"dataset": "Digits", "batch_size": None, "workers": 0, "steps": 3, "batches": 3}
    steps = [{"step": i, "loss": 1.0, "batch_size": size} for i, size in enumerate((16, 16, 4))]
    tables = {"loader": [{"facts": facts, "location": None}], "step": steps}
    assert [each.batch_size for each in found(tables=tables).loaders] == [16]


def chain(opposed: bool) -> Graph:
    """Two models, the first of which feeds the second."""
    operations = [
        operation(0, "linear", module="G.a", weight="G.a.weight"),
        operation(1, "tanh", 0, module="G.act"),
        operation(2, "linear", 1, module="D.a", weight="D.a.weight"),
        operation(3, "linear", 2, module="D.b", weight="D.b.weight"),
    ]
    weights = [{"name": f"{each}.weight", "shape": [4, 4]} for each in ("G.a", "D.a", "D.b")]
    loop = {"models": [model("g", 1, prefix="G"), model("d", 0, prefix="D")]}
    signs = {"teaching": [[0, 1, 9]]} if opposed else {}
    return Graph(Rows({"operation": operations, "parameter": weights}, {"loop": loop, "signs": signs}))


def test_models_that_feed_each_other_are_one_chain() -> None:
    graph = chain(opposed=False)
    assert graph.chains == {"G": "G", "D": "G"}
    assert not graph.is_output(graph.nodes[1])


def test_a_generator_s_output_is_an_output_though_a_discriminator_takes_it() -> None:
    graph = chain(opposed=True)
    assert graph.chains == {"G": "G", "D": "D"}
    assert graph.is_output(graph.nodes[1])


def test_tensors_outside_of_modules_are_listed_for_their_optimizer() -> None:
    names = ("w1", "b1", "w2", "b2", "w3")
    blank: dict[str, Any] = {"optimizer": 0, "location": None, "trainable": True, "facts": {}}
    parameters = [
        {**blank, "name": name, "shape": [2, 3], "module_class": "", "location": Location("train.py", 2)}
        for name in names
    ]
    held = {**blank, "name": "a.weight", "shape": [9], "module_class": "Linear"}
    loop = found(tables={"parameter": [*parameters, held], "optimizer": [optimizer()]})
    assert [(each.name, each.parameters, each.tensors) for each in loop.models] == [
        ("w1, b1, w2, b2 and 1 more", 30, names)
    ]
    assert loop.optimizers[0].models == ("w1, b1, w2, b2 and 1 more",)
