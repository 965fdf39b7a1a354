"""From a recording's rows to the typed measurements that rules read."""

from __future__ import annotations

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
    found,
    growth,
    hardware,
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
from dnndoctor.recording.reader import Rows, read


def load(path: Path) -> dict[type, Any]:
    """All measurements of a recording by type; ``Missing`` where one was not taken.

    Raises ValueError with one line for people if the recording cannot be read.
    """
    return assemble(read(path))


def assemble(rows: Rows, family: str | None = None) -> dict[type, Any]:
    """As ``load``, from rows that were read; ``family`` overrules what was recognised."""
    graph = Graph(rows)
    taken: dict[type, Any] = {
        m.Run: course.run(rows, family),
        m.TrainingLoop: found.training_loop(rows, graph, family),
        m.Layers: structure.layers(rows, graph),
        m.Activations: structure.activations(rows, graph),
        m.Weights: structure.weights(rows, graph),
        m.Construction: construction.construction(rows),
        m.Wiring: wiring.wiring(rows, graph),
        m.LayerSettings: settings.layer_settings(rows, graph),
        m.Directions: directions.directions(rows),
        m.Attention: attention.attention(rows),
        m.Signals: signals.signals(rows, graph),
        m.Gradients: structure.gradients(rows),
        m.Optimizers: course.optimizers(rows),
        m.LearningRateSweep: sweeps.learning_rate(rows),
        m.BatchSweep: sweeps.batch_size(rows),
        m.OneBatch: experiments.one_batch(rows),
        m.BlankedInputs: experiments.blanked_inputs(rows),
        m.TrainingNoise: experiments.noise(rows),
        m.LearningMethods: experiments.learning_methods(rows),
        m.TrainingData: course.training_data(rows, graph),
        m.Loaders: course.loaders(rows),
        m.Padding: sweeps.padding(rows),
        m.DataScan: dataset.data_scan(rows, graph),
        m.Epochs: dataset.epochs(rows),
        m.SampleOrder: sweeps.sample_order(rows),
        m.Steps: course.steps(rows),
        m.LooseDropouts: dropouts.loose(rows),
        m.Modes: course.modes(rows),
        m.Clearings: course.clearings(rows),
        m.Losses: loss.losses(rows, graph),
        m.LossInputs: loss_inputs.loss_inputs(rows, graph),
        m.Clipping: updates.clipping(rows),
        m.Accumulation: updates.accumulation(rows),
        m.CustomGradients: updates.custom_gradients(rows),
        m.Domains: domains.domains(rows),
        m.HalfPrecision: domains.half_precision(rows),
        m.Finiteness: course.finiteness(rows),
        m.Ranks: ranks.ranks(rows),
        m.Origins: origins.origins(rows),
        m.Overfitting: growth.overfitting(rows),
        m.Remedies: growth.remedies(rows),
        m.Widths: growth.widths(rows),
        m.WarmStart: growth.warm_start(rows),
        m.Plan: planning.plan(rows),
        m.Schedules: planning.schedules(rows),
        m.Groups: planning.groups(rows),
        m.Habits: planning.habits(rows),
        m.Penalty: planning.penalty(rows),
        m.History: planning.history(rows),
        m.Dependence: dependence.dependence(rows),
        m.KeptGraphs: order.kept_graphs(rows),
        m.ClipOrder: order.clip_order(rows),
        m.PiledGradients: order.piled_gradients(rows),
        m.Seeds: order.seeds(rows),
        m.Loading: hardware.loading(rows),
        m.Threads: hardware.threads(rows),
        m.MixedPrecision: hardware.mixed_precision(rows),
        m.Compilation: hardware.compilation(rows),
        m.MemoryUse: hardware.memory(rows),
        m.Transfers: hardware.transfers(rows),
        m.Waits: planning.waits(rows),
    }
    if not rows["step"]:
        return {kind: Missing("no optimizer step was seen") for kind in taken}
    for name, reason in (rows.run.get("missing") or {}).items():
        taken[getattr(m, name)] = Missing(reason)  # it says something of what we chose, not of what the user did
    return taken
