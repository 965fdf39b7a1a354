"""What is recorded is sent on to trackers, and their trouble stays theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dnndoctor
from dnndoctor.integrations.sink import Sink
from dnndoctor.recorder.step import FigureListener, StepRecord

pytestmark = pytest.mark.filterwarnings("ignore")

STEPS = 20


class Kept(Sink):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sent: list[tuple[int, dict[str, float]]] = []
        self.flushed = 0
        self.fails = False

    def send(self, step: int, figures: Mapping[str, float]) -> None:
        if self.fails:
            raise OSError("no route to host")
        self.sent.append((step, dict(figures)))

    def flush(self) -> None:
        self.flushed += 1


def train(path: Path, sinks: list[Any], steps: int = STEPS) -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with dnndoctor.watch(model, optimizer, path=path, overhead=1.0, listeners=sinks) as watching:
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    return watching


def a_step(step: int, moment: float, loss: float = 1.0) -> StepRecord:
    return StepRecord(step, moment, loss, 0.1, math.nan, 0.0, 0.01)


def test_steps_are_thinned_by_time_and_the_last_is_sent() -> None:
    sink = Kept(seconds=1.0)
    assert isinstance(sink, FigureListener)
    for step in range(25):
        sink.stepped(a_step(step, step * 0.1))
    sink.closed("finished", None)
    assert [step for step, _ in sink.sent] == [0, 10, 20, 24]
    assert sink.sent[0][1].keys() == {
        "dnndoctor/loss",
        "dnndoctor/learning_rate",
        "dnndoctor/data_seconds",
        "dnndoctor/compute_seconds",
    }  # and no norm, which was not measured
    assert sink.flushed == 1


def test_a_loss_of_nan_is_sent() -> None:
    sink = Kept()
    sink.stepped(a_step(0, 0.0, math.nan))
    assert math.isnan(sink.sent[0][1]["dnndoctor/loss"])


def test_figures_of_layers_are_thinned_each_for_itself() -> None:
    sink = Kept(layer_seconds=10.0)
    sink.measured(0, 0.0, {"gradient of a.weight": 1.0})
    sink.measured(1, 1.0, {"gradient of a.weight": 1.0, "std of b": 2.0})
    sink.measured(2, 2.0, {"gradient of a.weight": 1.0})
    sink.measured(3, 10.0, {"gradient of a.weight": 3.0})
    assert sink.sent == [
        (0, {"dnndoctor/gradient/a.weight": 1.0}),
        (1, {"dnndoctor/std/b": 2.0}),
        (3, {"dnndoctor/gradient/a.weight": 3.0}),
    ]


def test_a_tracker_that_fails_is_told_of_once_and_recording_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = Kept(seconds=0.0)
    sink.fails = True
    watching = train(tmp_path / "a.dnnrec", [sink])
    assert watching.recorder.failure is None
    assert watching.recorder.step == STEPS
    assert capsys.readouterr().err == "dnndoctor: Kept gives up (OSError: no route to host)\n"


def test_a_recorder_tells_figures_of_layers(tmp_path: Path) -> None:
    sink = Kept(seconds=0.0, layer_seconds=0.0)
    train(tmp_path / "a.dnnrec", [sink])
    names = {name for _, figures in sink.sent for name in figures}
    assert {"dnndoctor/loss", "dnndoctor/grad_norm", "dnndoctor/gradient/0.weight", "dnndoctor/std/1"} <= names
    assert len([1 for _, figures in sink.sent if "dnndoctor/loss" in figures]) == STEPS


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from dnndoctor.integrations.tensorboard import TensorBoardSink
    from dnndoctor.postmortem.readers import tensorboard

    sink = TensorBoardSink(tmp_path / "runs", seconds=0.0, layer_seconds=0.0)
    watching = train(tmp_path / "a.dnnrec", [sink])
    sink.reported(watching.report())
    files = sorted((tmp_path / "runs").iterdir())
    found = {each.name: each for each in tensorboard.read(files[0]).series}
    assert found["dnndoctor/loss"].step.tolist() == list(range(STEPS))
    assert "dnndoctor/gradient/0.weight" in found
    assert b"No faults found" in b"".join(each.read_bytes() for each in files)


def test_tensorboard_with_the_programs_own_writer(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    from dnndoctor.integrations.tensorboard import TensorBoardSink

    writer = SummaryWriter(str(tmp_path / "runs"))
    train(tmp_path / "a.dnnrec", [TensorBoardSink(writer)])
    writer.add_scalar("mine", 1.0)
    writer.close()
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    yield wandb
    wandb.finish()


def test_wandb_in_a_run_of_its_own(tmp_path: Path, offline: Any) -> None:
    from dnndoctor.integrations.wandb import WandbSink
    from dnndoctor.postmortem.readers import wandb_offline

    sink = WandbSink(seconds=0.0, layer_seconds=0.0)
    watching = train(tmp_path / "a.dnnrec", [sink])
    sink.reported(watching.report())
    assert offline.run is None
    log = wandb_offline.READERS[0].read(next(tmp_path.glob("wandb/offline-run-*/*.wandb")))
    found = {each.name: each for each in log.series}
    assert len(found["dnndoctor/loss"].value) == STEPS
    assert "dnndoctor/gradient/0.weight" in found


def test_wandb_adds_no_row_to_a_run_of_the_programs(tmp_path: Path, offline: Any) -> None:
    from dnndoctor.integrations.wandb import WandbSink

    run = offline.init()
    run.log({"mine": 0.0}, step=0)
    train(tmp_path / "a.dnnrec", [WandbSink(seconds=0.0)])
    assert run.step == 0
    run.log({"mine": 1.0}, step=1)
    assert run.step == 1
    run.finish()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield mlflow
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("own", [True, False])
def test_mlflow(tmp_path: Path, store: Any, own: bool) -> None:
    from dnndoctor.integrations.mlflow import MLflowSink

    if not own:
        store.start_run()
    sink = MLflowSink(seconds=0.0, layer_seconds=0.0)
    watching = train(tmp_path / "a.dnnrec", [sink])
    sink.reported(watching.report())
    if not own:
        assert store.active_run() is not None
        store.end_run()
    client = store.MlflowClient()
    runs = client.search_runs(["0"])
    assert len(runs) == 1
    history = client.get_metric_history(runs[0].info.run_id, "dnndoctor/loss")
    assert sorted(each.step for each in history) == list(range(STEPS))
    assert "dnndoctor/gradient/0.weight" in runs[0].data.metrics
    assert [each.path for each in client.list_artifacts(runs[0].info.run_id)] == ["dnndoctor-report.html"]
    assert runs[0].info.status == "FINISHED"
