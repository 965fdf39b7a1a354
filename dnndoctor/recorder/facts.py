"""What is written once: the run, its models, parameters and optimizers, and at the end what recording has cost."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dnndoctor.observe import device
from dnndoctor.observe.arguments import learning_rate
from dnndoctor.observe.inventory import first_values, kind_of
from dnndoctor.observe.source import caller, raised_at
from dnndoctor.observe.transforms import readable

if TYPE_CHECKING:
    from dnndoctor.recorder.recorder import Recorder

MOST_PARAMETERS = 20_000  # rows; a larger model has its largest ones listed


def begin(recorder: Recorder, **known: Any) -> None:
    """What is known before the first step; ``known``: script, arguments, ..."""
    recorder.store.run(
        kind="flight",
        unit="step",
        torch_version=str(torch.__version__),
        python_version=sys.version.split()[0],
        accelerator=device.name(),
        began=time.time(),
        **known,
    )
    recorder.store.flush()


def write(recorder: Recorder) -> None:
    """The models and parameters that the first step is about to change."""
    lead = recorder.lead
    assert lead is not None
    store = recorder.store
    held = {id(p): float(group.get("lr", 0.0)) for group in lead.param_groups for p in group["params"]}
    owners = {id(p): (path, module) for root in recorder.roots for path, module in root.named_modules()
              for p in module.parameters(recurse=False)}  # fmt: skip
    rows = []
    for number, (name, parameter) in enumerate(recorder.named[:MOST_PARAMETERS]):
        path, module = owners.get(id(parameter), ("", None))
        rows.append(_parameter(number, name, path, module, parameter, held.get(id(parameter)), recorder))
    store.put("parameter", rows)
    store.put("module", [_module(recorder, number, each) for number, each in enumerate(recorder.roots)])
    store.put("optimizer", [_optimizer(recorder)])
    place = next((p.device.type for group in lead.param_groups for p in group["params"]), "cpu")
    notes = []
    if recorder.compiled:
        notes.append(
            "the model is compiled: its activations were not looked at, as hooks would break what was compiled"
        )
    store.run(device=place, notes=notes, step_location=caller())


def _module(recorder: Recorder, number: int, root: nn.Module) -> dict[str, Any]:
    return {
        "id": number,
        "path": "",
        "class": type(root).__name__,
        "parameters": sum(p.numel() for p in root.parameters()),
        "location": recorder.known.place(root),
    }


def _parameter(
    number: int,
    name: str,
    path: str,
    module: nn.Module | None,
    parameter: torch.Tensor,
    rate: float | None,
    recorder: Recorder,
) -> dict[str, Any]:
    fan_in = fan_out = None
    if parameter.dim() > 1 and not parameter.is_meta:
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(parameter)
    known = readable(parameter) and parameter.numel() > 0
    return {
        "id": number,
        "name": name,
        "module": path,
        "module_class": type(module).__name__ if module is not None else "",
        "shape": list(parameter.shape),
        "kind": kind_of(module or nn.Module(), name.rpartition(".")[2], parameter),
        "fan_in": fan_in,
        "fan_out": fan_out,
        "trainable": parameter.requires_grad,
        "optimizer": 0 if rate is not None else None,
        "learning_rate": rate,
        "location": recorder.known.place(module) if module is not None else None,
        "facts": {**(first_values(parameter) if known else {}), "loaded": module in recorder.known.loaded},
    }


def _optimizer(recorder: Recorder) -> dict[str, Any]:
    lead = recorder.lead
    assert lead is not None
    place = recorder.known.place(lead)
    groups = lead.param_groups
    settings = {
        key: float(value) for key, value in groups[0].items() if isinstance(value, (int, float)) and key != "lr"
    }
    if isinstance(groups[0].get("betas"), tuple):
        settings.update(beta1=float(groups[0]["betas"][0]), beta2=float(groups[0]["betas"][1]))
    rates = [float(group.get("lr", 0.0)) for group in groups]
    return {
        "id": 0,
        "name": type(lead).__name__,
        "steps": 0,
        "location": place,
        "facts": {
            "rates": rates,
            "settings": settings,
            "peak_rate": max(rates, default=0.0),
            "warming_up": False,
            "rate_location": learning_rate(place, type(lead).__name__, rates),
            "scheduler": None,
            "closure": False,
            "parameters": sum(len(group["params"]) for group in groups),
        },
    }


def close(recorder: Recorder, outcome: str, error: BaseException | None) -> None:
    """How it ended, and what recording has cost."""
    meter, store = recorder.meter, recorder.store
    meter.settle(store.seconds)
    elapsed = max(meter.elapsed, 1e-9)
    log: dict[str, Any] = {}
    if error is not None:
        log = {"exception": type(error).__name__, "exception_message": str(error)[:300]}
        place = raised_at(error)
        if place is not None:
            log |= {"exception_file": place.file, "exception_line": place.line}
    if recorder.failure is not None:
        store.run(broken={"recorder": recorder.failure})
    store.run(
        steps=recorder.step,
        wall_seconds=elapsed,
        ending=outcome,
        steps_beside=recorder.beside,
        steps_left_out=recorder.left_out,
        outcome="examined" if recorder.step else "not-examined",
        log_facts=log,
        peak_bytes=device.peak_resident_bytes(),
        overhead={
            "budget": recorder.cadence.overhead,
            "spent": meter.spent / elapsed,
            "start_seconds": meter.start_seconds,
            "seconds": dict(meter.seconds),
            "looks": recorder.looks_taken(),
            "every": recorder.cadence.every,
            "every_loss": recorder.cadence.every_loss,
        },
    )
