"""Passes over one batch again and again are Monte-Carlo dropout; one evaluation per epoch of the same set is not."""

from __future__ import annotations

from dnndoctor.observe.passes import Pass, Passes, PassGroup


def one(batch: int, gradients: bool = False) -> Pass:
    return Pass("Net", None, gradients, None, (batch,), trainable=True, training=True, active={"drop"})


def evaluated(passes: Passes) -> PassGroup:
    return next(group for group in passes.groups.values() if not group.gradients)


def test_many_passes_over_one_batch_in_a_row_are_a_long_run() -> None:
    passes = Passes()
    for _ in range(8):
        passes.open(one(7))
    passes.step()
    assert evaluated(passes).longest_run == 8


def test_the_same_set_once_per_epoch_is_no_run() -> None:
    passes = Passes()
    for _ in range(8):
        passes.open(one(7))
        passes.open(one(1, gradients=True))
        passes.backward()
        passes.step()
    assert (evaluated(passes).count, evaluated(passes).longest_run) == (8, 1)


def test_batch_after_batch_is_no_run() -> None:
    passes = Passes()
    for batch in range(100):
        passes.open(one(batch))
    passes.step()
    assert (evaluated(passes).count, evaluated(passes).longest_run) == (100, 1)
