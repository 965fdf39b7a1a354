"""Short trainings of each framework with its callback: what is recorded, what is told, and that nothing changes."""

from __future__ import annotations

import ast
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import dnndoctor
from dnndoctor.integrations.following import Following
from dnndoctor.workspace import BadInput

pytestmark = pytest.mark.filterwarnings("ignore")

Curves = dict[str, list[tuple[float, float]]]


def data(count: int = 256) -> TensorDataset:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(count, 8, generator=random)
    return TensorDataset(x, (x[:, 0] + x[:, 1] > 0).long())


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))


def curves(path: Path) -> Curves:
    """Every series of a recording, as steps and values."""
    with sqlite3.connect(path) as file:
        rows = file.execute("SELECT name, step, value FROM series JOIN point ON point.series = series.id ORDER BY step")
        found: Curves = {}
        for name, step, value in rows:
            found.setdefault(name, []).append((step, value))
    return found


def values(found: Curves, name: str) -> list[float]:
    return [value for _, value in found[name]]


def weights(model: nn.Module) -> bytes:
    return b"".join(each.detach().numpy().tobytes() for each in model.state_dict().values())


def lightning_fit(folder: Path, callbacks: list[Any], name: str = "lightning.pytorch", fail_at: int = -1) -> Any:
    lightning = pytest.importorskip(name)

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = network()
            self.losses: list[float] = []

        def training_step(self, batch: Any, index: int) -> Any:
            if self.global_step == fail_at:
                raise ValueError("the data end here")
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.losses.append(float(loss))
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, _index: int) -> None:
            scores = self.net(batch[0])
            self.log("val_loss", nn.functional.cross_entropy(scores, batch[1]))
            self.log("val_acc", (scores.argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), 0.01)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)]

    module = Module()
    trainer = lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    torch.manual_seed(1)
    trainer.fit(module, DataLoader(data(), 32, shuffle=True), DataLoader(data(64), 32))
    return module


def test_lightning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightning")
    from dnndoctor.integrations.lightning import FlightRecorder

    bare = lightning_fit(tmp_path, [])
    path, page = tmp_path / "fit.dnnrec", tmp_path / "page.html"
    recorder = FlightRecorder(path=path, html=page, overhead=1.0)
    assert pickle.loads(pickle.dumps(recorder)).diagnosis is None  # as launchers of processes do
    followed = lightning_fit(tmp_path, [recorder])
    assert weights(followed) == weights(bare)
    assert followed.losses == bare.losses
    found = curves(path)
    assert values(found, "loss") == pytest.approx(bare.losses)
    assert [step for step, _ in found["val_loss"]] == [8, 16, 24, 32]  # after as many steps, and no sanity check
    assert len(found["val_acc"]) == 4
    assert "train_loss" not in found  # of an epoch, where there are those of steps
    assert sorted(set(values(found, "learning rate"))) == pytest.approx([0.001, 0.01])
    assert recorder.diagnosis is not None
    assert recorder.diagnosis.run.recording == str(path)
    assert recorder.diagnosis.run.steps_observed == 32
    assert page.read_text().startswith("<!doctype html>")
    printed = capfd.readouterr()
    assert "dnndoctor" not in printed.out
    assert str(page) in printed.err


def test_lightning_by_its_older_name(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    from dnndoctor.integrations.lightning import FlightRecorder

    path = tmp_path / "fit.dnnrec"
    lightning_fit(tmp_path, [FlightRecorder(path=path, report=False)], name="pytorch_lightning")
    assert len(curves(path)["val_loss"]) == 4


def test_lightning_that_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightning")
    from dnndoctor.integrations.lightning import FlightRecorder

    recorder = FlightRecorder(path=tmp_path / "fit.dnnrec", overhead=1.0)
    with pytest.raises(ValueError, match="the data end here"):
        lightning_fit(tmp_path, [recorder], fail_at=12)
    found = recorder.diagnosis
    assert found is not None
    assert len(curves(tmp_path / "fit.dnnrec")["loss"]) == 12
    assert "the data end here" in capfd.readouterr().err


def trainer_of_transformers(folder: Path, callbacks: list[Any], **settings: Any) -> Any:
    transformers = pytest.importorskip("transformers")

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            scores = self.net(x)
            return {"loss": nn.functional.cross_entropy(scores, labels), "logits": scores}

    samples, held = data(), data(64)
    rows, others = ([{"x": each[n][0], "labels": each[n][1]} for n in range(len(each))] for each in (samples, held))
    arguments = transformers.TrainingArguments(
        str(folder / "out"),
        num_train_epochs=4,
        per_device_train_batch_size=32,
        learning_rate=0.01,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=3,
        **settings,
    )
    trainer = transformers.Trainer(
        Model(),
        arguments,
        train_dataset=rows,
        eval_dataset=others,
        callbacks=callbacks,
        compute_metrics=lambda each: {"accuracy": float((each.predictions.argmax(-1) == each.label_ids).mean())},
    )
    trainer.train()
    return trainer


@pytest.mark.parametrize("accumulated", [1, 2])
def test_transformers(tmp_path: Path, accumulated: int) -> None:
    pytest.importorskip("transformers")
    from dnndoctor.integrations.transformers import FlightRecorder

    bare = trainer_of_transformers(tmp_path, [], gradient_accumulation_steps=accumulated)
    path = tmp_path / "run.dnnrec"
    recorder = FlightRecorder(path=path, overhead=1.0, report=False)
    followed = trainer_of_transformers(tmp_path, [recorder], gradient_accumulation_steps=accumulated)
    assert weights(followed.model) == weights(bare.model)
    logged = [each["loss"] for each in bare.state.log_history if "loss" in each]
    found = curves(path)
    seen = [value * accumulated for value in values(found, "loss")]  # the Trainer divides what backward is called on
    assert seen == pytest.approx(logged, abs=2e-4)
    per_epoch = 8 // accumulated
    assert [step for step, _ in found["eval_loss"]] == [per_epoch * epoch for epoch in range(1, 5)]
    assert "eval_accuracy" in found
    assert not [name for name in found if "runtime" in name or "per_second" in name]
    assert "gradient of net.0.weight" in found
    assert recorder.diagnosis is not None


def ignite_run(recorder: Any) -> tuple[nn.Module, list[float]]:
    pytest.importorskip("ignite")
    from ignite.engine import Engine, Events
    from ignite.metrics import Accuracy, Loss

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    losses: list[float] = []

    def step(_engine: Any, batch: Any) -> float:
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss))
        return losses[-1]

    def score(_engine: Any, batch: Any) -> Any:
        model.eval()
        with torch.no_grad():
            return model(batch[0]), batch[1]

    trainer, evaluator = Engine(step), Engine(score)
    Loss(nn.functional.cross_entropy).attach(evaluator, "loss")
    Accuracy().attach(evaluator, "accuracy")
    if recorder is not None:
        recorder.attach(trainer, evaluator)
    held = DataLoader(data(64), 32)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _engine: evaluator.run(held))
    trainer.add_event_handler(Events.COMPLETED, lambda _engine: evaluator.run(held))
    torch.manual_seed(1)
    trainer.run(DataLoader(data(), 32, shuffle=True), max_epochs=3)
    return model, losses


def test_ignite(tmp_path: Path) -> None:
    pytest.importorskip("ignite")
    from dnndoctor.integrations.ignite import FlightRecorder

    bare, losses = ignite_run(None)
    path = tmp_path / "run.dnnrec"
    recorder = FlightRecorder(path=path, report=False, overhead=1.0)
    followed, same = ignite_run(recorder)
    assert weights(followed) == weights(bare)
    assert same == losses
    found = curves(path)
    assert values(found, "loss") == pytest.approx(losses)
    assert [step for step, _ in found["validation/loss"]] == [8, 16, 24, 24]  # the last at the end of the run
    assert len(found["validation/accuracy"]) == 4
    assert recorder.diagnosis is not None


def test_an_exception_passes_through_ignite(tmp_path: Path) -> None:
    pytest.importorskip("ignite")
    from ignite.engine import Engine

    from dnndoctor.integrations.ignite import FlightRecorder

    def step(_engine: Any, _batch: Any) -> None:
        raise ValueError("no such batch")

    trainer = Engine(step)
    recorder = FlightRecorder(path=tmp_path / "run.dnnrec", report=False).attach(trainer)
    with pytest.raises(ValueError, match="no such batch"):
        trainer.run([0], max_epochs=1)
    recorder.close()
    assert recorder.diagnosis is not None


def test_accelerate_is_watched(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    model, optimizer, loader = accelerator.prepare(model, optimizer, DataLoader(data(), 32, shuffle=True))
    with dnndoctor.watch(model, optimizer, path=tmp_path / "run.dnnrec", overhead=1.0) as watching:
        for _ in range(2):
            for x, y in loader:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                accelerator.backward(loss)
                optimizer.step()
            watching.log("val_loss", float(loss))
    found = curves(watching.path)
    assert len(found["loss"]) == 16
    assert len(found["val_loss"]) == 2
    assert "gradient of 0.weight" in found


KERAS = """
import sys
import keras, numpy as np, torch

def fit(callbacks):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    random = np.random.default_rng(0)
    x = random.normal(size=(256, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    history = model.fit(x, y, batch_size=32, epochs=3, validation_data=(x[:64], y[:64]), callbacks=callbacks, verbose=0)
    return model, history

bare, before = fit([])
from dnndoctor.integrations.keras import FlightRecorder
recorder = FlightRecorder(path=sys.argv[1], overhead=1.0)
followed, after = fit([recorder])
assert all((a == b).all() for a, b in zip(bare.get_weights(), followed.get_weights()))
assert before.history == after.history
assert "apply" not in vars(followed.optimizer)
followed.save(sys.argv[1] + ".keras")
assert recorder.diagnosis is not None
print(recorder.diagnosis.run.recording)
"""


def test_keras(tmp_path: Path) -> None:
    if find_spec("keras") is None:  # not imported here, where its backend would be another one
        pytest.skip("keras is not installed")
    (tmp_path / "fit.py").write_text(KERAS)
    command = [sys.executable, str(tmp_path / "fit.py"), str(tmp_path / "fit.dnnrec")]
    ran = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "torch"}, cwd=tmp_path, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = curves(tmp_path / "fit.dnnrec")
    assert len(found["loss"]) == 24
    assert [step for step, _ in found["val_loss"]] == [8, 16, 24]
    assert {"accuracy", "val_accuracy", "gradient norm"} <= set(found)
    assert np.isclose(values(found, "learning rate"), 0.01).all()
    assert len([name for name in found if name.startswith("gradient of ")]) == 4


@pytest.mark.parametrize("name", ["lightning", "transformers", "ignite", "keras", "tensorboard", "wandb", "mlflow"])
def test_importing_one_costs_its_framework_only(name: str) -> None:
    frameworks = {
        "lightning": {"lightning", "pytorch_lightning"},
        "keras": {"keras", "torch"},
        "tensorboard": {"torch"},
    }
    source = (Path(dnndoctor.__file__).parent / "integrations" / f"{name}.py").read_text()
    for imported in _imported_at_once(ast.parse(source).body):
        top = imported.partition(".")[0]
        ours = imported.startswith("dnndoctor.integrations.")
        assert ours or top in sys.stdlib_module_names or top in frameworks.get(name, {name}), imported


@pytest.mark.parametrize("name", ["following", "sink"])
def test_what_they_share_costs_nothing(name: str) -> None:
    source = (Path(dnndoctor.__file__).parent / "integrations" / f"{name}.py").read_text()
    assert {each.partition(".")[0] for each in _imported_at_once(ast.parse(source).body)} <= sys.stdlib_module_names


def _imported_at_once(body: list[ast.stmt]) -> Iterator[str]:
    """What a module imports as it is imported, and not for types only."""
    for each in body:
        if isinstance(each, ast.Import):
            yield from (name.name for name in each.names)
        elif isinstance(each, ast.ImportFrom):
            yield each.module or ""
        elif isinstance(each, ast.If):
            yield from _imported_at_once([] if ast.unparse(each.test) == "TYPE_CHECKING" else each.body)
            yield from _imported_at_once(each.orelse)
        elif isinstance(each, ast.Try):
            yield from _imported_at_once([*each.body, *(one for handler in each.handlers for one in handler.body)])


def test_options_are_looked_at_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="overhead is 0"):
        Following({"overhead": 0.0})
    with pytest.raises(BadInput, match="there is no folder"):
        Following({"path": tmp_path / "no" / "a.dnnrec"})
    with pytest.raises(TypeError, match="no option 'pathh'"):
        Following({"pathh": "a"})  # type: ignore[typeddict-unknown-key]


def test_a_recording_that_cannot_begin_is_told_and_the_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    following = Following({"path": folder / "a.dnnrec"})
    folder.rmdir()
    following.begin(None, None)
    following.batch((torch.zeros(1),))
    following.log({"val_loss": 1.0})
    following.end()
    assert "this training is not recorded" in capsys.readouterr().err
    assert following.diagnosis is None


def test_other_ranks_write_beside_the_first_and_do_not_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    following = Following({"path": tmp_path / "a.dnnrec"})
    following.begin(None, None)
    following.log({"val_acc": torch.tensor(0.5), "val_f1": np.float32(0.5), "name": "a", "loss": 1.0, "per": [1.0, 2]})
    following.end()
    assert capsys.readouterr().err == ""
    assert [each.name for each in tmp_path.iterdir()] == ["a.rank1.dnnrec"]
    assert set(curves(tmp_path / "a.rank1.dnnrec")) == {"val_acc", "val_f1"}


SCRIPT = """
import sys, torch
from torch import nn
from dnndoctor.integrations.following import Following

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.01)
following = Following({"path": "own.dnnrec"})
following.begin(model, optimizer)
for step in range(60):
    optimizer.zero_grad()
    x = torch.randn(32, 8)
    following.batch(x)
    nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
    optimizer.step()
    following.log({"val_loss": 0.5})
following.end()
"""


@pytest.mark.parametrize("command", ["run", "check"])
def test_under_dnndoctor_itself_there_is_no_second_recording(tmp_path: Path, command: str) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    options = ["--no-probes"] if command == "check" else []
    ran = subprocess.run(
        [sys.executable, "-m", "dnndoctor", command, *options, "--exit-zero", "train.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert not (tmp_path / "own.dnnrec").exists()
    assert "no report" not in ran.stderr
    assert [each.name for each in (tmp_path / ".dnndoctor").glob("*.dnnrec")] == ["train.dnnrec"]
    if command == "run":
        assert "val_loss" in curves(tmp_path / ".dnndoctor" / "train.dnnrec")
