"""Inside of the loops of whole scripts: every experiment leaves all that the script trains as it was, bit for bit."""

from __future__ import annotations

import contextlib
import io
import random
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dnndoctor.probes import agenda
from dnndoctor.probes.experiments import EXPERIMENTS
from dnndoctor.probes.trials import Trials
from tests.fixture_scripts import FIXTURES
from tests.observe.watching import watching
from tests.probes.test_snapshot import same

LOOPS = (
    "breast_cancer_accumulation",
    "breast_cancer_index_batches",
    "diabetes_plateau",
    "digits_dropout",
    "digits_ema_copy",
    "digits_grad_scaler_fp16",
    "digits_mlp",
    "digits_one_cycle",
    "digits_parameter_groups",
    "digits_resnet_zero_init",
    "digits_transformer_label_smoothing",
    "iris_by_hand",
    "wine_sgd_closure",
    "words_sparse_embeddings",
)
WATCHED = 10  # steps; the experiments come after them


def plain(value: Any) -> Any:
    """A copy that later changes do not reach."""
    if isinstance(value, torch.Tensor):
        return value.detach().to_dense().clone() if value.is_sparse else value.detach().clone()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def state(trials: Trials) -> dict[str, Any]:
    """Everything that a trial may have touched."""
    watch = trials.watch
    modules = [module for top in watch.modules.tops for module in top.modules()]
    held = [p for each in watch.optimizers for p in each.parameters()]
    leaves = [p for module in modules for p in module.parameters(recurse=False)]
    return {
        "parameters": plain([*held, *leaves]),
        "buffers": plain([b for module in modules for b in module.buffers(recurse=False)]),
        "gradients": plain([p.grad for p in (*held, *leaves)]),
        "trainable": [p.requires_grad for p in leaves],
        "optimizers": plain([list(each.optimizer.state.values()) for each in watch.optimizers]),
        "groups": plain(
            [{k: v for k, v in g.items() if k != "params"} for e in watch.optimizers for g in e.optimizer.param_groups]
        ),
        "schedulers": plain([each.state_dict() for each in watch.schedulers]),
        "modes": [
            (m.training, getattr(m, "p", None), len(m._forward_pre_hooks), len(m._forward_hooks)) for m in modules
        ],
        "streams": [torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()],  # type: ignore[index]
        "call": nn.Module.__call__,
    }


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The states before the experiments and after them, each time that some were made."""
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    waiting: list[dict[str, Any]] = []
    begin, settled, finish = Trials.begin, Trials.settled, Trials.finish

    def beginning(self: Trials) -> bool:
        before = state(self)
        began = begin(self)
        if began:
            waiting.append(before)
        return began

    def settling(self: Trials, within_step: bool) -> bool:
        over = settled(self, within_step)
        if over and waiting:
            found.append((waiting.pop(), state(self)))
        return over

    def finishing(self: Trials, possible: bool) -> None:
        finish(self, possible)  # of a script that was over in the middle of a trial
        if waiting:
            found.append((waiting.pop(), state(self)))

    monkeypatch.setattr(Trials, "finish", finishing)
    monkeypatch.setattr(Trials, "begin", beginning)
    monkeypatch.setattr(Trials, "settled", settling)
    return found


@pytest.mark.parametrize("name", LOOPS)
def test_after_all_experiments_everything_is_as_it_was(
    name: str, kept: list[tuple[dict[str, Any], dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tuple(replace(each, most=1.0, fewest=1) for each in EXPERIMENTS)
    monkeypatch.setattr(agenda, "EXPERIMENTS", short)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [name])
    script = FIXTURES / "healthy" / f"{name}.py"
    aside = tmp_path / "recordings"
    aside.mkdir()
    with watching(aside, steps=WATCHED, probes=True), contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(script), run_name="__main__")
    assert kept, "no experiment was made"
    for before, after in kept:
        assert {key for key in before if not same(before[key], after[key])} == set()
