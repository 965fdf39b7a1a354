"""What recording costs a whole training, measured from outside.

Three models are trained for the same number of steps bare, recorded with the default budget and at the full cadence,
and beside them with W&B's ``watch`` (offline) and with TensorBoard histograms of weights and gradients, both in every
step. Each training is a process of its own; the kinds take turns, and each is compared with the bare run of its own
turn: the median ratio over the turns, in processor time of the process with all its threads, opening and closing of
the recording included. W&B and TensorBoard log full histograms, the recorder statistics of samples and norms. Prints
only: a shared machine holds no bound.

    python tests/benchmarks/recorder_overhead.py [--seconds 20] [--turns 5] [--models mlp,conv_net] [--kinds default]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

KINDS = ("default", "full", "wandb", "tensorboard")
MODELS = ("mlp", "conv_net", "transformer")
WARM = 5  # steps before the clock

Each = Callable[[int], None]
End = Callable[[], dict[str, Any]]


def main() -> None:
    """Take turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a bare training")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--train", nargs=3, metavar=("MODEL", "KIND", "STEPS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        model, kind, steps = given.train
        print(json.dumps(trained(model, kind, int(steps))))
        return
    for model in given.models.split(","):
        compare(model, given.kinds.split(","), given.seconds, given.turns)


def compare(model: str, kinds: list[str], seconds: float, turns: int) -> None:
    """Print a line for each kind of recording of one model."""
    steps = max(int(seconds / _of(model, "bare", 20)["seconds"] * 20), 10)
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    told: dict[str, dict[str, Any]] = {}
    bare: list[float] = []
    for turn in range(turns):
        order = ["bare", *kinds]
        found = {kind: _of(model, kind, steps) for kind in (order if turn % 2 == 0 else reversed(order))}
        bare.append(found["bare"]["seconds"])
        for kind in kinds:
            ratios[kind].append(found[kind]["seconds"] / found["bare"]["seconds"])
            told[kind] = found[kind]
    print(f"{model}: {steps} steps of {statistics.median(bare) / steps * 1e3:.1f} ms, {turns} turns")
    for kind in kinds:
        own = told[kind].get("own")
        account = f"   by its own account {own:.4f}" if own is not None else f"   {told[kind].get('why', '')}"
        print(
            f"  {kind:<12} median {statistics.median(ratios[kind]):.4f}   "
            f"from {min(ratios[kind]):.4f} to {max(ratios[kind]):.4f}{account}"
        )


def _of(model: str, kind: str, steps: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--train", model, kind, str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def trained(name: str, kind: str, steps: int) -> dict[str, Any]:
    """Processor seconds of one training; ``own``: what the recorder says that it spent, as a share and 1."""
    import torch
    from torch.nn import functional

    models: Any = importlib.import_module("observe_overhead")  # beside this file
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, inputs, targets = getattr(models, name)()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def train(count: int, each: Each) -> None:
        for step in range(count):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            each(step)

    train(WARM, lambda _: None)
    began = time.process_time()
    each, end = _started(kind, model, optimizer)
    train(steps, each)
    told = end()
    return {"seconds": time.process_time() - began, **told}


def _started(kind: str, model: Any, optimizer: Any) -> tuple[Each, End]:
    if kind in ("default", "full"):
        return _recorded(model, optimizer, 0.01 if kind == "default" else 1.0)
    with suppress(ImportError):
        if kind == "wandb":
            return _wandb(model)
        if kind == "tensorboard":
            return _tensorboard(model)
    return lambda _: None, lambda: {} if kind == "bare" else {"why": "not installed"}


def _recorded(model: Any, optimizer: Any, overhead: float) -> tuple[Each, End]:
    import dnndoctor

    watching = dnndoctor.watch(model, optimizer, overhead=overhead, path="a.dnnrec")

    def end() -> dict[str, Any]:
        watching.close()
        assert watching.recorder.failure is None
        return {"own": 1 + watching.recorder.meter.spent / watching.recorder.meter.elapsed}

    return lambda _: None, end


def _wandb(model: Any) -> tuple[Each, End]:
    import wandb

    run = wandb.init(project="overhead", mode="offline")
    run.watch(model, log="all", log_freq=1)

    def end() -> dict[str, Any]:
        run.finish()
        return {}

    return lambda step: run.log({"step": step}), end


def _tensorboard(model: Any) -> tuple[Each, End]:
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter("events")

    def each(step: int) -> None:
        for name, parameter in model.named_parameters():
            writer.add_histogram(name, parameter, step)
            writer.add_histogram(f"{name}.grad", parameter.grad, step)

    def end() -> dict[str, Any]:
        writer.close()
        return {}

    return each, end


if __name__ == "__main__":
    main()
