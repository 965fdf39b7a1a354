"""From a recording's rows to the typed measurements that rules read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnndoctor import measurements as m
from dnndoctor.measurements.missing import Missing
from dnndoctor.recording import (
    attention,
    construction,
    course,
    dataset,
    dependence,
    directions,
    domains,
    dropouts,
    experiments,
    flight,
    found,
    growth,
    hardware,
    logged,
    loss,
    loss_inputs,
    order,
    origins,
    planning,
    ranks,
    settings,
    signals,
    structure,
    sweeps,
    updates,
    wiring,
)
from dnndoctor.recording.graph import Graph
from dnndoctor.recording.reader import BrokenWindow, Rows, read


def load(path: Path) -> dict[type, Any]:
    """All measurements of a recording by type; ``Missing`` where one was not taken.

    Raises ValueError with one line for people if the recording cannot be read.
    """
    return assemble(read(path))


def assemble(rows: Rows, family: str | None = None) -> dict[type, Any]:
    """As ``load``, from rows that were read; ``family`` overrules what was recognised."""
    graph = Graph(rows)
    makers: dict[type, Callable[[], Any]] = {
        m.Run: lambda: course.run(rows, family),
        m.TrainingLoop: lambda: found.training_loop(rows, graph, family),
        m.Layers: lambda: structure.layers(rows, graph),
        m.Activations: lambda: structure.activations(rows, graph),
        m.Weights: lambda: structure.weights(rows, graph),
        m.Construction: lambda: construction.construction(rows),
        m.Wiring: lambda: wiring.wiring(rows, graph),
        m.LayerSettings: lambda: settings.layer_settings(rows, graph),
        m.Directions: lambda: directions.directions(rows),
        m.Attention: lambda: attention.attention(rows),
        m.Signals: lambda: signals.signals(rows, graph),
        m.Gradients: lambda: structure.gradients(rows),
        m.Optimizers: lambda: course.optimizers(rows),
        m.LearningRateSweep: lambda: sweeps.learning_rate(rows),
        m.BatchSweep: lambda: sweeps.batch_size(rows),
        m.OneBatch: lambda: experiments.one_batch(rows),
        m.BlankedInputs: lambda: experiments.blanked_inputs(rows, graph),
        m.TrainingNoise: lambda: experiments.noise(rows),
        m.LearningMethods: lambda: experiments.learning_methods(rows),
        m.TrainingData: lambda: course.training_data(rows, graph),
        m.Loaders: lambda: course.loaders(rows),
        m.Padding: lambda: sweeps.padding(rows),
        m.DataScan: lambda: dataset.data_scan(rows, graph),
        m.RefusedTargets: lambda: dataset.refused(rows),
        m.Epochs: lambda: dataset.epochs(rows),
        m.SampleOrder: lambda: sweeps.sample_order(rows),
        m.Steps: lambda: course.steps(rows),
        m.LooseDropouts: lambda: dropouts.loose(rows),
        m.Modes: lambda: course.modes(rows),
        m.Clearings: lambda: course.clearings(rows),
        m.Losses: lambda: loss.losses(rows, graph),
        m.LossInputs: lambda: loss_inputs.loss_inputs(rows, graph),
        m.Clipping: lambda: updates.clipping(rows),
        m.Accumulation: lambda: updates.accumulation(rows),
        m.CustomGradients: lambda: updates.custom_gradients(rows),
        m.Domains: lambda: domains.domains(rows),
        m.HalfPrecision: lambda: domains.half_precision(rows),
        m.Finiteness: lambda: course.finiteness(rows),
        m.Ranks: lambda: ranks.ranks(rows),
        m.Origins: lambda: origins.origins(rows),
        m.Overfitting: lambda: growth.overfitting(rows),
        m.Remedies: lambda: growth.remedies(rows),
        m.Widths: lambda: growth.widths(rows),
        m.WarmStart: lambda: growth.warm_start(rows),
        m.Plan: lambda: planning.plan(rows),
        m.Schedules: lambda: planning.schedules(rows),
        m.Groups: lambda: planning.groups(rows),
        m.Habits: lambda: planning.habits(rows),
        m.Penalty: lambda: planning.penalty(rows),
        m.History: lambda: planning.history(rows),
        m.Dependence: lambda: dependence.dependence(rows),
        m.KeptGraphs: lambda: order.kept_graphs(rows),
        m.ClipOrder: lambda: order.clip_order(rows),
        m.PiledGradients: lambda: order.piled_gradients(rows),
        m.Seeds: lambda: order.seeds(rows),
        m.Loading: lambda: hardware.loading(rows),
        m.Threads: lambda: hardware.threads(rows),
        m.MixedPrecision: lambda: hardware.mixed_precision(rows),
        m.Compilation: lambda: hardware.compilation(rows),
        m.StepTime: lambda: hardware.step_time(rows),
        m.MemoryUse: lambda: hardware.memory(rows),
        m.Transfers: lambda: hardware.transfers(rows),
        m.Waits: lambda: planning.waits(rows),
        m.Course: lambda: logged.course(rows),
        m.Snapshots: lambda: logged.snapshots(rows),
    }
    if logged.is_log(rows):
        return logged.measured(rows, makers, family)
    if logged.is_flight(rows):
        return flight.measured(rows, makers, family)
    if not rows["step"]:
        none = {kind: Missing("no optimizer step was seen") for kind in makers}
        return none | {m.RefusedTargets: _made(makers[m.RefusedTargets])}
    taken = {kind: _made(make) for kind, make in makers.items()}
    for name, reason in (rows.run.get("missing") or {}).items():
        taken[getattr(m, name)] = Missing(reason)  # it says something of what we chose, not of what the user did
    return taken


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except BrokenWindow as broken:
        return Missing(str(broken))
