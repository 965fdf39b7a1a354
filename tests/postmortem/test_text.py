from __future__ import annotations

from pathlib import Path

import pytest

from dnndoctor.postmortem.align import aligned
from dnndoctor.postmortem.log import Unreadable
from dnndoctor.postmortem.readers.text import Place, figures, read


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Epoch 3/10, Step 120, Loss: 0.4532, lr 0.001", {"Loss": 0.4532, "lr": 0.001}),
        ("step 1200: train loss 2.13, val loss 2.44", {"train loss": 2.13, "val loss": 2.44}),
        ("{'loss': '0.45', 'grad_norm': 1.2, 'epoch': 0.4}", {"loss": 0.45, "grad_norm": 1.2}),
        ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.123456", {"Loss": 2.123456}),
        (
            "Test set: Average loss: 0.0512, Accuracy: 9830/10000",
            {"test Average loss": 0.0512, "test Accuracy": 9830.0},
        ),
        ("938/938 - 2s - loss: 0.25 - val_loss: 0.3", {"loss": 0.25, "val_loss": 0.3}),
        ("| valid on 'valid' subset | loss 8.1 | ppl 274", {"valid loss": 8.1, "valid ppl": 274.0}),
        ("step 1/19560 | loss 11.009 (+nanz)| norm 15.2 | lr 8.57e-07", {"loss": 11.009, "norm": 15.2, "lr": 8.57e-07}),
        ("loss: tensor(0.3, grad_fn=<NllLossBackward0>)", {"loss": 0.3}),
        ("INFO loss=-1.5e-3", {"loss": -0.0015}),
    ],
)
def test_names_and_numbers_of_a_line(line: str, said: dict[str, float]) -> None:
    assert dict(figures(line)) == said


def test_nan_is_a_number_and_no_word() -> None:
    found = dict(figures("Epoch 5 - train loss: nan - val loss nan lr 0.1"))
    assert list(found) == ["train loss", "val loss", "lr"]
    assert found["train loss"] != found["train loss"]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("Epoch [3/10], Step [120/938], Loss: 0.4", Place(3, 120, (120, 938))),
        ("Train Epoch: 2 [640/60000 (1%)]\tLoss: 2.1", Place(2, None, (640, 60000))),
        ("Epoch 3:  45%|xx | 45/100 [00:12<00:15, 3.6it/s, loss=0.2]", Place(3, None, (45, 100))),
        ("[4/100][20/1583] Loss_D: 1.2", Place(4, None, (20, 1583))),
        ("step 120/2000 | loss 0.2", Place(None, 120, (120, 2000))),
        ("Test: loss 0.05, Accuracy: 9830/10000", Place(None, None, None)),
    ],
)
def test_where_a_line_stands(line: str, place: Place) -> None:
    assert Place().moved(line) == place


def written(folder: Path, *lines: str) -> Path:
    file = folder / "train.log"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_steps_of_an_epoch_become_parts_of_it(tmp_path: Path) -> None:
    lines = [f"Epoch {e} batch {b}: loss {1 / (e + b / 10):.4f}" for e in range(1, 4) for b in range(10)]
    found = aligned(read(written(tmp_path, *lines)))
    [loss] = found.series
    assert found.unit == "epoch"
    assert list(loss.step[:3]) == [1.0, 1.1, 1.2]
    assert loss.step[-1] == pytest.approx(3.9)


def test_an_evaluation_without_a_step_stands_where_its_line_does(tmp_path: Path) -> None:
    lines = [f"step {n * 10} loss {1 / (n + 1):.3f}" + ("\nval loss 0.5" if n % 5 == 4 else "") for n in range(20)]
    found = aligned(read(written(tmp_path, *lines)))
    held = next(each for each in found.series if each.name == "val loss")
    assert found.unit == "step"
    assert [round(each / 10) for each in held.step] == [4, 9, 14, 19]


def test_a_log_that_was_appended_to_tells_of_its_last_run(tmp_path: Path) -> None:
    lines = [f"iter {n} loss {loss}" for loss in (9.0, 1.0) for n in range(10)]
    [loss] = aligned(read(written(tmp_path, *lines))).series
    assert list(loss.value) == [1.0] * 10


def test_the_exception_at_its_end(tmp_path: Path) -> None:
    lines = [
        "loss 1.0",
        "loss 0.9",
        "Traceback (most recent call last):",
        "torch.OutOfMemoryError: CUDA out of memory.",
    ]
    facts = read(written(tmp_path, *lines)).facts
    assert (facts["exception"], facts["exception_line"]) == ("torch.OutOfMemoryError", 4)


def test_a_text_without_a_loss_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="tell a loss"):
        read(written(tmp_path, "numpy==1.26", "loss is great"))


def test_a_full_bar_per_epoch_leaves_the_epoch_as_it_is(tmp_path: Path) -> None:
    lines = [f"Epoch {e}/3\n100/100 [====] - 2s - loss: {1 / e:.3f} - val_loss: 0.5" for e in (1, 2, 3)]
    loss, _ = aligned(read(written(tmp_path, *lines))).series
    assert list(loss.step) == [1, 2, 3]
