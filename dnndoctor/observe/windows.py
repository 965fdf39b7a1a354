"""Every window that an examination looks through."""

from __future__ import annotations

from dnndoctor.observe.accumulation import Accumulation
from dnndoctor.observe.attention import AttentionLogits
from dnndoctor.observe.built_in_forward import BuiltInForward
from dnndoctor.observe.clip_order import ClipOrder
from dnndoctor.observe.clipping import Clipping
from dnndoctor.observe.custom_functions import CustomFunctions
from dnndoctor.observe.directions import Directions
from dnndoctor.observe.domains import Domains
from dnndoctor.observe.epochs import Epochs
from dnndoctor.observe.evaluations import Evaluations
from dnndoctor.observe.feeds import Feeds
from dnndoctor.observe.functional_dropout import FunctionalDropout
from dnndoctor.observe.groups import Groups
from dnndoctor.observe.habits import Habits
from dnndoctor.observe.half_precision import HalfPrecision
from dnndoctor.observe.initializers import Initializers
from dnndoctor.observe.kept_graphs import KeptGraphs
from dnndoctor.observe.layer_settings import LayerSettings
from dnndoctor.observe.layer_templates import LayerTemplates
from dnndoctor.observe.loose_tensors import LooseTensors
from dnndoctor.observe.loss_inputs import LossInputs
from dnndoctor.observe.memory import Memory
from dnndoctor.observe.next_step import NextStep
from dnndoctor.observe.padding import PaddingMasks
from dnndoctor.observe.piled_gradients import PiledGradients
from dnndoctor.observe.plan import Plan
from dnndoctor.observe.pretraining import Pretraining
from dnndoctor.observe.ranks import Ranks
from dnndoctor.observe.sample_shapes import SampleShapes
from dnndoctor.observe.schedulers import Schedulers
from dnndoctor.observe.seeds import Seeds
from dnndoctor.observe.supervision import Supervision
from dnndoctor.observe.threads import SetThreads
from dnndoctor.observe.transfers import Transfers
from dnndoctor.observe.unregistered import Unregistered
from dnndoctor.observe.waits import Waits
from dnndoctor.observe.window import Window

WINDOWS: tuple[type[Window], ...] = (
    Accumulation,
    AttentionLogits,
    BuiltInForward,
    ClipOrder,
    Clipping,
    CustomFunctions,
    Directions,
    Domains,
    Epochs,
    Evaluations,
    Feeds,
    FunctionalDropout,
    Groups,
    Habits,
    HalfPrecision,
    Initializers,
    KeptGraphs,
    LayerSettings,
    LooseTensors,
    LayerTemplates,
    LossInputs,
    Memory,
    NextStep,
    PaddingMasks,
    PiledGradients,
    Plan,
    Pretraining,
    Ranks,
    SampleShapes,
    Schedulers,
    Seeds,
    SetThreads,
    Supervision,
    Transfers,
    Unregistered,
    Waits,
)
