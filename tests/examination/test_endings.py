"""However a script ends, there is a report on what was recorded until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Check

TRAIN = """
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
X = torch.randn(256, 8); y = (X.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(20):
    for i, (xb, yb) in enumerate(DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)):
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        EXTRA
"""


def train(extra: str) -> str:
    return TRAIN.replace("EXTRA", extra)


def test_a_sound_script_is_examined_and_nothing_is_found(check: Check) -> None:
    report = check(train("pass"))
    assert report["target"]["outcome"] == "examined"
    assert [f for f in report["findings"] if f["severity"] != "info"] == []
    assert report["exit"] == 0
    assert report["run"]["steps_observed"] >= 50


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("if i == 6: raise RuntimeError('disk full')", "RuntimeError: disk full"),
        ("if i == 6: sys.exit(3)", "3"),
        ("if i == 6: import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "segmentation fault"),
        ("if i == 6: import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "kill"),
    ],
)
def test_a_script_that_breaks_off_is_partly_examined(check: Check, extra: str, reason: str) -> None:
    report = check(train(extra))
    assert report["target"]["outcome"] == "partly-examined"
    assert reason in report["target"]["reason"].lower() or reason in report["target"]["reason"]
    assert report["run"]["steps_observed"] >= 3
    assert "Traceback" not in report["stderr"]


def test_a_label_that_the_first_loss_raises_on_is_named(check: Check) -> None:
    report = check(train("pass").replace(".long()", ".long() + 1"))
    assert report["target"]["outcome"] == "partly-examined"
    [found] = report["findings"]
    assert (found["rule"], found["location"]["line"]) == ("DAT108", 12)
    assert report["exit"] == 1


def test_a_token_that_an_embedding_has_no_row_for_is_named(check: Check) -> None:
    text = train("pass").replace("torch.randn(256, 8)", "torch.randint(1, 9, (256, 8))")
    report = check(text.replace("nn.Sequential(", "nn.Sequential(nn.Embedding(8, 1), nn.Flatten(), "))
    [found] = report["findings"]
    assert (found["rule"], found["location"]["line"]) == ("DAT108", 12)
    assert "id 8 has no row: the embedding has 8, 0 to 7" in found["message"]


def test_a_script_that_swallows_exceptions_is_stopped_all_the_same(check: Check) -> None:
    report = check(
        train("pass").replace("        loss = ", "        try: pass\n        except Exception: pass\n        loss = ")
    )
    assert report["target"]["outcome"] == "examined"


def test_files_are_as_before(check: Check, tmp_path: Path) -> None:
    best = tmp_path / "best.pt"
    best.write_bytes(b"last week's")
    before = best.stat()
    report = check(train("torch.save(model.state_dict(), 'best.pt'); open('log.csv', 'a').write('x')"))
    assert report["target"]["outcome"] == "examined"
    assert best.read_bytes() == b"last week's"
    assert best.stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(each.name for each in tmp_path.iterdir()) == [".dnndoctor", "best.pt", "train.py"]


def test_a_short_script_is_run_again_for_the_rest_of_the_sweep(check: Check) -> None:
    source = """
import torch
from torch import nn
torch.manual_seed(0)
X = torch.randn(300, 6); y = (X.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
for step in range(80):
    loss = nn.functional.cross_entropy(model(X), y)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""
    report = check(source)
    roots = [f for f in report["findings"] if f["severity"] != "info" and f["caused_by"] is None]
    assert [(f["rule"], f["location"]["line"]) for f in roots] == [("LRN102", 7)]


def test_a_model_file_is_put_into_a_loop_of_ours(check: Check) -> None:
    source = """
import torch
from torch import nn
from torch.utils.data import TensorDataset
X = torch.randn(500, 8)
train_data = TensorDataset(X, (X.sum(1) > 0).long())
loss_fn = nn.CrossEntropyLoss()
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2), nn.Softmax(dim=1))
    def forward(self, x):
        return self.body(x)
"""
    report = check(source)
    assert report["target"]["kind"] == "model"
    assert [(f["rule"], f["location"]["line"]) for f in report["findings"] if f["severity"] == "error"] == [
        ("LOS101", 11)
    ]


def test_a_script_without_a_step_says_how_to_give_a_model(check: Check) -> None:
    report = check("import torch")
    assert report["target"]["outcome"] == "not-examined"
    assert "model file" in report["target"]["reason"]
    assert report["exit"] == 2
    assert {rule["state"] for rule in report["rules"]} == {"not-examined"}


def test_the_script_sees_its_own_world(check: Check) -> None:
    source = train("pass") + "\n"
    head = (
        "import os, sys, __main__\n"
        "assert __name__ == '__main__' and __file__ == os.path.abspath('train.py'), __file__\n"
        "assert sys.argv == ['train.py', '--lr', '3'], sys.argv\n"
        "assert sys.path[0] == os.path.dirname(os.path.abspath(__file__)), sys.path\n"
        "assert __main__.head == 1 if hasattr(__main__, 'head') else True\n"
        "assert 'rich' not in sys.modules and 'typer' not in sys.modules\n"
    )
    report = check(head + source, args=("--lr", "3"))
    assert report["target"]["outcome"] == "examined", report["target"]["reason"]
    assert report["target"]["args"] == ["--lr", "3"]


def test_a_parameter_without_dimensions_is_one_like_others(check: Check) -> None:
    scale = "class Scaled(nn.Sequential):\n"
    scale += "    def __init__(self, *layers):\n        super().__init__(*layers)\n"
    scale += "        self.scale = nn.Parameter(torch.tensor(1.0))\n"
    scale += "    def forward(self, x):\n        return super().forward(x) * self.scale\n"
    report = check(train("pass").replace("model = nn.Sequential", scale + "model = Scaled"))
    assert report["target"]["outcome"] == "examined", report["target"]["reason"]
    assert [f for f in report["findings"] if f["severity"] != "info"] == []


def test_a_model_whose_length_cannot_be_asked_for_is_examined(check: Check) -> None:
    source = TRAIN.replace("model = nn.Sequential", "class Net(nn.Sequential):\n    __len__ = None\nmodel = Net")
    assert check(source.replace("EXTRA", "pass"))["target"]["outcome"] == "examined"


def test_a_bug_of_ours_is_not_an_exception_of_the_user_s(check: Check, tmp_path: Path) -> None:
    source = (
        "from dnndoctor.observe.watch import Watch\n"
        "def broken(self, *args): raise KeyError('ours')\n"
        "Watch.after_step = broken\n" + train("pass")
    )
    report = check(source)
    assert report["target"]["outcome"] in ("partly-examined", "not-examined")
    assert "a bug of its own: KeyError: 'ours'" in report["target"]["reason"]


DROPOUT = "nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5)"
EVERY_EPOCH = """
    with torch.no_grad():
        model(X[:128])
"""


@pytest.mark.parametrize("when", ["every epoch", "at the end"])
def test_a_forgotten_eval_is_found_wherever_the_evaluation_stands(check: Check, when: str) -> None:
    source = train("pass").replace("batch_size=16", "batch_size=64").replace("nn.Sequential(nn.Linear(8, 16)", DROPOUT)
    source += EVERY_EPOCH if when == "every epoch" else EVERY_EPOCH.replace("\n    ", "\n")
    errors = [f["rule"] for f in check(source)["findings"] if f["severity"] == "error"]
    assert errors == ["REG103"]
