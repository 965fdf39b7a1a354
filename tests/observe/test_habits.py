"""What the source says of evaluating, saving, logging and searching."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dnndoctor.observe import reading, source
from dnndoctor.observe.habits import read


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    reading.tree.cache_clear()


def habits(tmp_path: Path, text: str) -> dict[str, Any]:
    file = tmp_path / "train.py"
    file.write_text(textwrap.dedent(text))
    return read([source.relative(str(file))])


QUIET = """
    from sklearn.metrics import accuracy_score
    for epoch in range(10):
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
"""


def test_a_bare_loop_has_no_habits(tmp_path: Path) -> None:
    found = habits(tmp_path, QUIET)
    assert [found[key] for key in ("evaluates", "saves", "logs", "keeps_best", "searches", "writes_rate")] == [None] * 6
    assert (found["saved"], found["idle_rates"], found["wrong_keys"]) == ([], [], [])


@pytest.mark.parametrize(
    ("habit", "line"),
    [
        ("evaluates", "model.eval()"),
        ("evaluates", "val_loss = 0"),
        ("evaluates", "def evaluate(): pass"),
        ("evaluates", "fit(eval_set=1)"),
        ("evaluates", "with torch.no_grad(): pass"),
        ("evaluates", "x_test = 1"),
        ("saves", "torch.save(model, path)"),
        ("saves", "model.save_pretrained(path)"),
        ("saves", "trainer.checkpoint_every = 5"),
        ("logs", "print(loss)"),
        ("logs", "writer.add_scalar(1)"),
        ("logs", "losses.append(1)"),
        ("logs", "for x in tqdm(y): pass"),
        ("logs", "wandb.log(x)"),
        ("keeps_best", "best_loss = 1"),
        ("keeps_best", "early_stopping(1)"),
        ("searches", "ParameterGrid(grid)"),
        ("writes_rate", "optimizer.param_groups[0]['lr'] = 1"),
        ("writes_rate", "scheduler.step()"),
    ],
)
def test_each_is_known_by_its_names(tmp_path: Path, habit: str, line: str) -> None:
    found = habits(tmp_path, textwrap.dedent(QUIET) + line + "\n")
    assert found[habit] is not None
    assert found[habit].line == 7


@pytest.mark.parametrize("line", ["latest = value", "x = contest", "activation = 1", "devices = 2", "x = fast"])
def test_parts_of_words_are_no_names(tmp_path: Path, line: str) -> None:
    assert habits(tmp_path, line)["evaluates"] is None


def test_what_is_saved_and_when(tmp_path: Path) -> None:
    text = """
        for epoch in range(10):
            torch.save(model.state_dict(), "last.pt")
            if better:
                torch.save(model.state_dict(), "best.pt")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "end.pt")
    """
    found = habits(tmp_path, text)["saved"]
    assert [(each["in_loop"], each["conditional"]) for each in found] == [(True, False), (True, True), (False, False)]
    assert "optimizer.state_dict()" in found[-1]["what"]
