"""What the frameworks themselves write, with a fault that was put in at a known step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.examination import examine_logs

SPIKE = 120


def found_in(folder: Path) -> Diagnosis:
    return examine_logs([folder / "run"], Settings(root=str(folder)))


def data(count: int = 640) -> TensorDataset:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(count, 8, generator=random)
    return TensorDataset(x, (x[:, 0] + x[:, 1] > 0).long())


def step_of(found: Diagnosis) -> float:
    assert found.run.course is not None
    assert found.run.course.worst is not None
    return found.run.course.worst.step


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))


@pytest.mark.filterwarnings("ignore")
def test_lightning_writes_a_spike_of_the_rate(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: Any, _index: int) -> Any:
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), 0.003)
            rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step < SPIKE else 1000.0)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    keep = ModelCheckpoint(dirpath=tmp_path / "run" / "checkpoints", save_top_k=-1, every_n_train_steps=50)
    trainer = lightning.Trainer(
        max_epochs=10,
        accelerator="cpu",
        logger=CSVLogger(tmp_path / "run"),
        log_every_n_steps=1,
        callbacks=[keep, LearningRateMonitor("step")],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(data(), 32, shuffle=True))
    found = found_in(tmp_path)
    assert found.roots[0].rule == "LRN111"
    assert step_of(found) == pytest.approx(SPIKE, abs=3)
    assert found.roots[0].fix is not None
    assert "step=100.ckpt (step 100)" in found.roots[0].fix.summary


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_transformers_writes_a_batch_of_nan(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.calls = network(), 0

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            self.calls += 1
            x = x * torch.nan if self.calls == SPIKE else x
            return {"loss": nn.functional.cross_entropy(self.net(x), labels)}

    samples = data()
    rows = [{"x": samples[n][0], "labels": samples[n][1]} for n in range(len(samples))]
    settings = transformers.TrainingArguments(
        str(tmp_path / "run"),
        num_train_epochs=10,
        per_device_train_batch_size=32,
        logging_steps=1,
        save_steps=50,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    transformers.Trainer(Model(), settings, train_dataset=rows).train()
    found = found_in(tmp_path)
    first = found.roots[0]
    assert first.rule in ("NUM101", "NUM104")
    numerics = next(each for each in found.findings if each.rule == "NUM101")
    assert numerics.evidence[0].value == pytest.approx(SPIKE, abs=3)
    assert numerics.fix is not None
    assert "checkpoint-100 (step 100)" in numerics.fix.summary


def test_tensorboard_writes_a_loss_that_rises(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    from tests.runs import falling

    loss = falling(300)
    loss[200:] += 2.0
    with SummaryWriter(str(tmp_path / "run")) as writer:
        for step, value in enumerate(loss):
            writer.add_scalar("Loss/train", value, step)
            writer.add_histogram("weights", torch.ones(3), step)
    found = found_in(tmp_path)
    assert [each.rule for each in found.roots] == ["LOS115"]
    assert step_of(found) == 200


def test_an_offline_run_of_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    from tests.runs import falling

    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    loss = falling(300)
    loss[200:] = float("nan")
    (tmp_path / "run").mkdir()
    with wandb.init(mode="offline", dir=str(tmp_path / "run"), project="p", config={"lr": 0.1}) as run:
        for step, value in enumerate(loss):
            run.log({"train/loss": float(value), "lr": 0.1}, step=step)
    found = found_in(tmp_path)
    assert [each.rule for each in found.roots] == ["NUM101"]
    assert step_of(found) == 200


@pytest.mark.parametrize("layout", ["add_scalars", "folders"])
def test_tensorboard_writes_each_curve_into_a_folder_of_its_own(tmp_path: Path, layout: str) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    from tests.runs import falling

    loss = falling(300)
    held = loss.copy()
    held[100:] += 0.01 * np.arange(200)
    if layout == "add_scalars":
        with SummaryWriter(str(tmp_path / "run")) as writer:
            for step, (trained, kept) in enumerate(zip(loss, held, strict=True)):
                writer.add_scalars("epoch/loss", {"train": trained, "val": kept}, step)
    else:
        for name, values in (("train", loss), ("validation", held)):
            with SummaryWriter(str(tmp_path / "run" / name)) as writer:
                for step, value in enumerate(values):
                    writer.add_scalar("epoch_loss", value, step)
    found = found_in(tmp_path)
    assert [each.rule for each in found.roots] == ["REG110"]
    course = found.run.course
    assert course is not None
    assert len(course.curves) == 2
    assert not [each for each in found.run.notes if "scalars" in each]  # of the writer's own file, which is empty


def test_of_two_runs_in_folders_of_their_own_the_newer_is_read(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    from tests.runs import falling

    for name in ("first", "second"):
        with SummaryWriter(str(tmp_path / "run" / name)) as writer:
            for step, value in enumerate(falling(300)):
                writer.add_scalar("loss", value, step)
    found = found_in(tmp_path)
    assert found.run.course is not None
    assert len(found.run.course.curves) == 1
