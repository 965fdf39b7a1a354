"""Typed records that rules read: plain numbers, strings and numpy arrays. Nothing here imports torch."""

from dnndoctor.measurements.activations import Activation, Activations, ActivationStatistics
from dnndoctor.measurements.attention import Attention, AttentionSite
from dnndoctor.measurements.checkpoints import SavedTensor, Snapshot, Snapshots
from dnndoctor.measurements.construction import BuiltInForward, Construction, LooseTensors, UnregisteredLayers
from dnndoctor.measurements.custom_gradients import CustomGradient, CustomGradients
from dnndoctor.measurements.data import DataTensor, Loader, Loaders, SampleOrder, TrainingData
from dnndoctor.measurements.dataset import (
    DataScan,
    Features,
    Filled,
    Leak,
    LossTargets,
    OddSamples,
    Overlap,
    RefusedTargets,
    SampleSet,
    SuspectLabels,
    Targets,
    TokenPadding,
    Twins,
)
from dnndoctor.measurements.dependence import Dependence, FutureLeak, Mixing, Passage
from dnndoctor.measurements.directions import Directions, DirectionsInUse
from dnndoctor.measurements.distributed import Ranks
from dnndoctor.measurements.domains import Domain, Domains, HalfPlace, HalfPrecision
from dnndoctor.measurements.dropouts import LooseDropout, LooseDropouts
from dnndoctor.measurements.epochs import Epochs, LoaderEpoch, RepeatedOrder
from dnndoctor.measurements.experiments import (
    BlankedInputs,
    LearningMethods,
    MethodRun,
    OneBatch,
    OneBatchTrial,
    TrainingNoise,
)
from dnndoctor.measurements.found import FoundLoader, FoundLoss, FoundModel, FoundOptimizer, TrainingLoop
from dnndoctor.measurements.gradients import Gradients, ParameterGradient
from dnndoctor.measurements.growth import Overfitting, Remedies, Remedy, WarmStart, Width, Widths
from dnndoctor.measurements.hardware import (
    Compilation,
    Loading,
    LoadingPoint,
    MemoryUse,
    MixedPrecision,
    StepTime,
    Threads,
    Transfer,
    Transfers,
)
from dnndoctor.measurements.layers import Layer, Layers
from dnndoctor.measurements.logged import Course, Curve, Kept, Moved, Turn
from dnndoctor.measurements.loop import Clearing, Clearings, Mode, Modes, Steps
from dnndoctor.measurements.loss_inputs import Difference, LossInput, LossInputs, SoftmaxUse
from dnndoctor.measurements.losses import Fed, Loss, Losses
from dnndoctor.measurements.missing import Missing
from dnndoctor.measurements.numerics import Finiteness, NonFinite
from dnndoctor.measurements.optimizers import Optimizer, Optimizers
from dnndoctor.measurements.order import ClipOrder, KeptGraphs, KeptSum, PiledGradient, PiledGradients, Seeds
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
    Waits,
)
from dnndoctor.measurements.pretraining import Architecture, FrozenNorms, LearnedStatistics, Movement, Origins
from dnndoctor.measurements.run import Run
from dnndoctor.measurements.settings import DropoutSetting, LayerSettings, NormSetting, RecurrentSetting
from dnndoctor.measurements.signals import Signal, Signals
from dnndoctor.measurements.sweep import BatchSweep, LearningRateSweep
from dnndoctor.measurements.updates import Accumulation, Clipping
from dnndoctor.measurements.weights import Parameter, Weights
from dnndoctor.measurements.wiring import BiasBeforeNorm, Dropout, LinearPair, Wiring

__all__ = [
    "Accumulation",
    "Activation",
    "ActivationStatistics",
    "Activations",
    "Architecture",
    "Attention",
    "AttentionSite",
    "BatchSweep",
    "BiasBeforeNorm",
    "BlankedInputs",
    "BuiltInForward",
    "Clearing",
    "Clearings",
    "ClipOrder",
    "Clipping",
    "Compilation",
    "Construction",
    "Course",
    "Curve",
    "CustomGradient",
    "CustomGradients",
    "DataScan",
    "DataTensor",
    "Dependence",
    "Difference",
    "Directions",
    "DirectionsInUse",
    "Domain",
    "Domains",
    "Dropout",
    "DropoutSetting",
    "Epochs",
    "Features",
    "Fed",
    "Filled",
    "Finiteness",
    "FoundLoader",
    "FoundLoss",
    "FoundModel",
    "FoundOptimizer",
    "FrozenNorms",
    "FutureLeak",
    "Gradients",
    "Group",
    "Groups",
    "Habits",
    "HalfPlace",
    "HalfPrecision",
    "History",
    "Kept",
    "KeptGraphs",
    "KeptSum",
    "Layer",
    "LayerSettings",
    "Layers",
    "Leak",
    "LearnedStatistics",
    "LearningMethods",
    "LearningRateSweep",
    "LinearPair",
    "Loader",
    "LoaderEpoch",
    "Loaders",
    "Loading",
    "LoadingPoint",
    "LooseDropout",
    "LooseDropouts",
    "LooseTensors",
    "Loss",
    "LossInput",
    "LossInputs",
    "LossTargets",
    "Losses",
    "MemoryUse",
    "MethodRun",
    "Missing",
    "MixedPrecision",
    "Mixing",
    "Mode",
    "Modes",
    "Moved",
    "Movement",
    "NonFinite",
    "NormSetting",
    "OddSamples",
    "OneBatch",
    "OneBatchTrial",
    "Optimizer",
    "OptimizerGroups",
    "Optimizers",
    "Origins",
    "Overfitting",
    "Overlap",
    "PaddedLayer",
    "Padding",
    "Parameter",
    "ParameterGradient",
    "Passage",
    "Penalty",
    "PiledGradient",
    "PiledGradients",
    "Plan",
    "Ranks",
    "RecurrentSetting",
    "RefusedTargets",
    "Remedies",
    "Remedy",
    "RepeatedOrder",
    "Run",
    "SampleOrder",
    "SampleSet",
    "Saved",
    "SavedTensor",
    "Schedule",
    "Schedules",
    "Seeds",
    "Signal",
    "Signals",
    "Snapshot",
    "Snapshots",
    "SoftmaxUse",
    "StepTime",
    "Steps",
    "SuspectLabels",
    "Targets",
    "Threads",
    "Timed",
    "TokenPadding",
    "TrainingData",
    "TrainingLoop",
    "TrainingNoise",
    "Transfer",
    "Transfers",
    "Turn",
    "Twins",
    "UnregisteredLayers",
    "Waits",
    "WarmStart",
    "Weights",
    "Width",
    "Widths",
    "Wiring",
]
