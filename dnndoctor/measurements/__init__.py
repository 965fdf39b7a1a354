"""Typed records that rules read: plain numbers, strings and numpy arrays. Nothing here imports torch."""

from dnndoctor.measurements.activations import Activation, Activations, ActivationStatistics
from dnndoctor.measurements.construction import BuiltInForward, Construction, UnregisteredLayers
from dnndoctor.measurements.data import DataTensor, Loader, Loaders, SampleOrder, TrainingData
from dnndoctor.measurements.found import FoundLoader, FoundLoss, FoundModel, FoundOptimizer, TrainingLoop
from dnndoctor.measurements.gradients import Gradients, ParameterGradient
from dnndoctor.measurements.layers import Layer, Layers
from dnndoctor.measurements.loop import Clearing, Clearings, Mode, Modes, Steps
from dnndoctor.measurements.losses import Fed, Loss, Losses
from dnndoctor.measurements.missing import Missing
from dnndoctor.measurements.numerics import Finiteness, NonFinite
from dnndoctor.measurements.optimizers import Optimizer, Optimizers
from dnndoctor.measurements.padding import PaddedLayer, Padding, Timed
from dnndoctor.measurements.planning import (
    Group,
    Groups,
    Habits,
    History,
    OptimizerGroups,
    Penalty,
    Plan,
    Saved,
    Schedule,
    Schedules,
)
from dnndoctor.measurements.pretraining import Architecture, FrozenNorms, LearnedStatistics, Movement, Origins
from dnndoctor.measurements.run import Run
from dnndoctor.measurements.settings import DropoutSetting, LayerSettings, NormSetting, RecurrentSetting
from dnndoctor.measurements.signals import Signal, Signals
from dnndoctor.measurements.sweep import BatchSweep, LearningRateSweep
from dnndoctor.measurements.weights import Parameter, Weights
from dnndoctor.measurements.wiring import BiasBeforeNorm, Dropout, LinearPair, Wiring

__all__ = [
    "Activation",
    "ActivationStatistics",
    "Activations",
    "Architecture",
    "BatchSweep",
    "BiasBeforeNorm",
    "BuiltInForward",
    "Clearing",
    "Clearings",
    "Construction",
    "DataTensor",
    "Dropout",
    "DropoutSetting",
    "Fed",
    "Finiteness",
    "FoundLoader",
    "FoundLoss",
    "FoundModel",
    "FoundOptimizer",
    "FrozenNorms",
    "Gradients",
    "Group",
    "Groups",
    "Habits",
    "History",
    "Layer",
    "LayerSettings",
    "Layers",
    "LearnedStatistics",
    "LearningRateSweep",
    "LinearPair",
    "Loader",
    "Loaders",
    "Loss",
    "Losses",
    "Missing",
    "Mode",
    "Modes",
    "Movement",
    "NonFinite",
    "NormSetting",
    "Optimizer",
    "OptimizerGroups",
    "Optimizers",
    "Origins",
    "PaddedLayer",
    "Padding",
    "Parameter",
    "ParameterGradient",
    "Penalty",
    "Plan",
    "RecurrentSetting",
    "Run",
    "SampleOrder",
    "Saved",
    "Schedule",
    "Schedules",
    "Signal",
    "Signals",
    "Steps",
    "Timed",
    "TrainingData",
    "TrainingLoop",
    "UnregisteredLayers",
    "Weights",
    "Wiring",
]
