"""Roles of operations, read from a graph of a few."""

from __future__ import annotations

from dnndoctor.recording.graph import Graph
from dnndoctor.recording.reader import Rows


def graph(*operations: tuple[str, list[int]]) -> Graph:
    rows = [{"id": i, "name": name, "inputs": inputs, "parameters": []} for i, (name, inputs) in enumerate(operations)]
    return Graph(Rows({"operation": rows, "parameter": []}))


def test_a_residual_branch_is_all_that_lies_beside_the_skip_path() -> None:
    block = graph(
        ("embedding", []),
        ("linear", [0]),
        ("linear", [0]),
        ("scaled_dot_product_attention", [1, 2]),
        ("linear", [3]),
        ("add", [0, 4]),
        ("layer_norm", [5]),
        ("linear", [6]),
    )
    assert block.branches == {1, 2, 3, 4}


def test_a_sum_of_two_heads_is_no_residual_branch() -> None:
    assert not graph(("linear", []), ("linear", [0]), ("linear", [0]), ("add", [1, 2])).branches


def copied(name: str, *roots: int) -> Graph:
    """A weight that a linear layer takes (0) and that is copied (1); the copy is squared (2)."""
    rows = [
        {"id": 0, "name": "linear", "inputs": [], "parameters": ["w"], "differentiable": True},
        {"id": 1, "name": name, "inputs": [], "parameters": ["w"], "differentiable": False},
        {"id": 2, "name": "square", "inputs": [1], "parameters": [], "differentiable": False},
    ]
    return Graph(Rows({"operation": rows, "parameter": []}, {"backward_roots": list(roots)}))


def test_a_detached_copy_that_the_loss_depends_on_is_the_cut() -> None:
    cut = copied("detach", 2).cut_after("w")
    assert cut is not None
    assert cut.index == 1


def test_a_copy_for_a_checkpoint_cuts_nothing_off() -> None:
    assert copied("detach", 0).cut_after("w") is None
    assert copied("data", 0).cut_after("w") is None


def test_any_other_operation_without_a_gradient_is_a_cut_even_where_its_way_to_the_loss_was_not_seen() -> None:
    cut = copied("round").cut_after("w")
    assert cut is not None
    assert cut.name == "round"


def test_what_is_only_copied_is_not_used() -> None:
    assert copied("detach").copied_only == frozenset()
    rows = [{"id": 0, "name": "detach", "inputs": [], "parameters": ["w"], "differentiable": False}]
    assert Graph(Rows({"operation": rows, "parameter": []})).copied_only == {"w"}


def first_layer(*after: str) -> Graph:
    """A convolution (0) whose output goes through these; each takes the convolution's output."""
    rows = [{"id": 0, "name": "conv2d", "inputs": [], "parameters": ["w"]}]
    rows += [{"id": i, "name": name, "inputs": [0], "parameters": []} for i, name in enumerate(after, start=1)]
    return Graph(Rows({"operation": rows, "parameter": [{"name": "w", "shape": [8, 3, 3, 3]}]}))


def test_a_norm_that_alone_takes_a_layer_s_output() -> None:
    alone, beside, none = first_layer("batch_norm"), first_layer("batch_norm", "add"), first_layer("relu")
    assert alone.norm_behind(alone.nodes[0]) == "batch_norm"
    assert beside.norm_behind(beside.nodes[0]) is None
    assert none.norm_behind(none.nodes[0]) is None


def test_the_head_ends_at_the_last_layers_on_every_way() -> None:
    rows = [
        {"id": 0, "name": "normalize", "inputs": [], "parameters": []},
        {"id": 1, "name": "linear", "inputs": [0], "parameters": ["w"]},
        {"id": 2, "name": "one_hot", "inputs": [], "parameters": []},
        {"id": 3, "name": "cosine_similarity", "inputs": [1], "parameters": []},
        {"id": 4, "name": "mul", "inputs": [2, 3], "parameters": []},
        {"id": 5, "name": "cross_entropy", "inputs": [4], "parameters": []},
    ]
    seen = Graph(Rows({"operation": rows, "parameter": [{"name": "w", "shape": [8, 8]}]}))
    assert {each.index for each in seen.head(seen.nodes[5])} == {2, 3, 4}


def predicted(*roots: int) -> Graph:
    """Scores (0), the class (1) and that as a number (2), and a loss of the scores (3)."""
    rows = [
        {"id": 0, "name": "linear", "inputs": [], "parameters": ["w"], "differentiable": True},
        {"id": 1, "name": "argmax", "inputs": [0], "parameters": [], "differentiable": False},
        {"id": 2, "name": "float", "inputs": [1], "parameters": [], "differentiable": False},
        {"id": 3, "name": "cross_entropy", "inputs": [0], "parameters": [], "differentiable": True},
    ]
    return Graph(Rows({"operation": rows, "parameter": []}, {"backward_roots": list(roots)}))


def test_a_class_that_the_loss_is_made_of_is_the_cut() -> None:
    cut = predicted(2).cut_after("w")
    assert cut is not None
    assert cut.name == "argmax"


def test_a_class_for_the_accuracy_cuts_nothing_off() -> None:
    assert predicted(3).cut_after("w") is None


def test_where_another_way_leads_to_the_loss_nothing_is_cut_off() -> None:
    assert predicted(2, 3).cut_after("w") is None
