from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import Epochs, RepeatedOrder
from dnndoctor.rule import State
from dnndoctor.rules.shuffling.same_order_every_epoch import same_order_every_epoch
from tests.rules.scans import HERE, epoch, judge


def repeated(compared: int) -> Epochs:
    return Epochs((epoch(),), 1, (RepeatedOrder(HERE, "RandomSampler", compared),))


def test_an_order_that_comes_again() -> None:
    [found] = judge(same_order_every_epoch, repeated(64)).findings
    assert (found.severity, found.location) == (Severity.INFO, HERE)
    assert "64 indices" in found.message


def test_short_orders_may_agree_by_chance() -> None:
    assert judge(same_order_every_epoch, repeated(15)).state is State.PASS
    assert judge(same_order_every_epoch, repeated(16)).state is State.FINDING


def test_new_orders_pass() -> None:
    assert judge(same_order_every_epoch, Epochs((epoch(),), 3)).state is State.PASS


def test_one_epoch_and_no_loader() -> None:
    assert judge(same_order_every_epoch, Epochs((epoch(),))).state is State.NOT_EXAMINED
    assert judge(same_order_every_epoch, Epochs(())).state is State.NOT_APPLICABLE
