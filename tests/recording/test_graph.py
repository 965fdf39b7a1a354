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
