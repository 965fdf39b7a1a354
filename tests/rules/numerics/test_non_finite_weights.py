from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import SavedTensor, Snapshot, Snapshots
from dnndoctor.rule import State
from dnndoctor.rules.numerics.non_finite_weights import non_finite_weights as rule
from tests.literals import judged


def kept(step: int, bad: int = 0) -> Snapshot:
    tensors = (SavedTensor("a.weight", (4, 4), 1.0, 0, 0.1, 0.3, 0, 0), SavedTensor("b", (4,), 1, 0, 0.1, 0.3, bad, 0))
    return Snapshot(f"ckpt_{step}.pt", step, tensors)


def test_the_first_broken_checkpoint_and_the_last_sound_one() -> None:
    [found] = judged(rule, Snapshots((kept(100), kept(200), kept(300, 4), kept(400, 4)))).findings
    assert (found.severity, found.subject) == (Severity.ERROR, "b")
    assert found.message.startswith("ckpt_300.pt (step 300) holds NaN or infinite weights in 1 of 2 tensors")
    assert found.fix is not None
    assert found.fix.summary == "go on from ckpt_200.pt (step 200)"


def test_sound_ones_and_none() -> None:
    assert judged(rule, Snapshots((kept(100), kept(200)))).state is State.PASS
    assert judged(rule, Snapshots(())).state is State.NOT_APPLICABLE
    [found] = judged(rule, Snapshots((kept(100, 1),))).findings
    assert found.fix is not None
    assert found.fix.summary.startswith("start again")
