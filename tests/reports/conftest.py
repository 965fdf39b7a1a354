"""Diagnoses made of literal measurements: a sick run, a sound one, one that was cut short, a hostile one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnndoctor.diagnosis import Diagnosis, Outcome, RunFacts, Target, diagnose, judge
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import (
    Activation,
    Activations,
    ActivationStatistics,
    BatchSweep,
    FoundLoader,
    FoundLoss,
    FoundModel,
    FoundOptimizer,
    Gradients,
    Layer,
    Layers,
    LearningRateSweep,
    Loaders,
    Missing,
    Parameter,
    ParameterGradient,
    Run,
    Steps,
    TrainingLoop,
    Weights,
)
from dnndoctor.rule import Rule, rule

SOURCE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(5))
        self.head = nn.Linear(64, 10)
        for layer in self.layers:
            nn.init.normal_(layer.weight)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
"""

PAGE = """The fault in one sentence.

What it measures
    Some figure.

Why it matters
    Signals that are too large saturate the units; their slope is next to nothing there,
    and the layers before them stop learning.

When to ignore it
    The scale is meant.
"""
HOSTILE = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}\x1b[31m\u202e\udc80"


def yielding(code: str, name: str, practice: str, grade: Severity, needs: dict[str, Any], *found: Any) -> Rule:
    """A rule with a manual page that yields the findings given, or raises the exception given."""

    def check(*_: Any) -> Iterator[Finding]:
        for each in found:
            if isinstance(each, Exception):
                raise each
            yield each

    arguments = ", ".join(needs)
    scope: dict[str, Any] = {"check": check}
    exec(f"def {name}({arguments}):\n    yield from check()", scope)
    made = scope[name]
    made.__annotations__, made.__doc__ = needs, PAGE
    return rule(code, grade, practice=practice)(made)


def layers(count: int = 5) -> Layers:
    found = [
        Layer(f"layers.{i}", "linear", f"layers.{i}.weight", None, 64, 64, 64, 64, "sigmoid") for i in range(count)
    ]
    head = Layer("head", "linear", "head.weight", None, 64, 10, 64, 10, None, output=True)
    return Layers("Net", (*found, head))


def weights(count: int = 5) -> Weights:
    stds = {f"layers.{i}.weight": (6.1 if i == 0 else 0.5) for i in range(count)} | {"head.weight": 0.12}
    return Weights(
        tuple(
            Parameter(name, name.removesuffix(".weight"), "Linear", (64, 64), "weight", 64, 64, True, std=std)
            for name, std in stds.items()
        )
    )


def gradients(count: int = 5) -> Gradients:
    steps = np.arange(10)
    wave = 1 + 0.3 * np.sin(steps)
    names = [*(f"layers.{i}.weight" for i in range(count)), "head.weight"]
    each = [
        ParameterGradient(name, steps, 10.0 ** (i - count) * wave * 0.05, 2e-4 * (i + 1) * wave)
        for i, name in enumerate(names)
    ]
    return Gradients(tuple(each), steps, 0.05 * wave)


def activations(count: int = 5) -> Activations:
    def site(i: int) -> Activation:
        history = tuple(
            ActivationStatistics(step, 0.5, 0.48 - 0.06 * i, 0.4, 1.0, saturated_share=(0.83 + step / 100) / (i + 1))
            for step in (0, 5, 10)
        )
        return Activation(f"layers.{i}:sigmoid", "sigmoid", None, "hidden", 64, f"layers.{i}", history)

    return Activations(tuple(site(i) for i in range(count)))


def measurements() -> dict[type, Any]:
    """A run with a rate too high, mis-scaled first weights and a small batch."""
    at = np.arange(50)
    return {
        Run: Run("cpu", None, 50, models=("Net",), parameters=21_450, torch_version="2.13.0", python_version="3.11.9"),
        Layers: layers(),
        Weights: weights(),
        Gradients: gradients(),
        Activations: activations(),
        Loaders: Missing("no DataLoader was seen"),
        Steps: Steps(at, 2.3 * np.exp(-at / 40) + 0.1 * np.cos(at), np.full(50, 0.5), np.zeros(50), np.zeros(50)),
        LearningRateSweep: LearningRateSweep(
            optimizer="SGD",
            rates=np.array([1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0]),
            scores=np.array([2.28, 2.05, 1.6, 0.9, 0.44, 0.52, 1.7, 1.92, np.inf]),
            start=2.31,
            noise=0.02,
            user_rate=0.5,
            user_score=1.92,
            best_rate=0.03,
            best_score=0.44,
            usable=(0.02, 0.12),
            diverging_rate=1.0,
            steps=20,
            paired=True,
            confidence="high",
        ),
        BatchSweep: BatchSweep(
            sizes=np.array([8, 16, 32, 64, 128, 256]),
            throughput=np.array([5200.0, 10100.0, 19500.0, 33000.0, 41000.0, 42500.0]),
            spread=np.array([1.1, 1.2, 1.1, 1.3, 1.05, 1.1]),
            peak_bytes=np.full(6, np.nan),
            user_size=8,
            knee=(64, 128),
            stopped="knee",
        ),
    }


def sick_rules() -> list[Rule]:
    rate = Finding(
        "learning rate 0.5 loses most of the progress: 0.01 gives loss 0.9 instead of 1.92 after the same 20 steps",
        Location("train.py", 20, 52),
        "SGD",
        (Evidence("learning rate", 0.5, 0.01), Evidence("loss", 1.92, 0.9), Evidence("loss at the start", 2.31)),
        Fix("lower the learning rate to 0.01", "Loss 0.9 instead of 1.92 after the same 20 steps.", "lr=0.01"),
    )
    scale = Finding(
        "the weights of layers.0 have standard deviation 6.1, 12 times their target of 0.5",
        Location("train.py", 11, 13),
        "layers.0.weight",
        (Evidence("std", 6.1, 0.5),),
        Fix("draw the weights for a sigmoid", "Keeps the units off their flat ends.", diff=DIFF),
    )
    saturated = Finding(
        "83 % of the outputs of layers.0 are saturated",
        Location("train.py", 15, 17),
        "layers.0",
        (Evidence("saturated", 83.0, 40.0, "%"),),
        Fix("mend the initial weights first", "They bring it about."),
    )
    vanishing = Finding(
        "the gradient is 100,000 times smaller in the first layer than in the last",
        Location("train.py", 15, 17),
        "layers.0.weight",
        (Evidence("ratio", 1e-5, 1e-3),),
        caused_by="ACT101",
    )
    batch = Finding("batches of 8 give 5,200 samples/s, 64 would give 33,000", subject="batches")
    lr, init, act, grad = "learning-rate", "weight-initialization", "activation-functions", "gradients"
    warning, error, info = Severity.WARNING, Severity.ERROR, Severity.INFO
    return [
        yielding("DAT101", "non_finite_data", "training-data", error, {}),
        yielding("ACT101", "saturated_units", act, error, {"a": Activations}, saturated),
        yielding("INI102", "mis_scaled_weights", init, warning, {"a": Layers, "b": Weights}, scale),
        yielding("LRN101", "rate_too_high", lr, warning, {"a": LearningRateSweep}, rate),
        yielding("DIM101", "odd_dimensions", "power-of-two-dimensions", info, {}, NotApplicable("a tiny model")),
        yielding("BAT102", "batch_under_uses_hardware", "batch-size", info, {"a": BatchSweep}, batch),
        yielding("SHU101", "not_shuffled", "shuffling", warning, {"a": Loaders}),
        yielding("HWR101", "accelerator_idle", "hardware", error, {}, NotExamined("no accelerator on this machine")),
        yielding("GRD101", "vanishing_gradient", grad, warning, {"a": Gradients}, vanishing),
        yielding("LOS101", "softmax_before_cross_entropy", "loss", error, {}, RuntimeError("a bug")),
    ]


DIFF = """\
--- train.py
+++ train.py
@@ -11,1 +11,1 @@
-            nn.init.normal_(layer.weight)
+            nn.init.xavier_uniform_(layer.weight, gain=4.0)
"""


LOOP = TrainingLoop(
    "fine-tuning",
    "weights were loaded before the first step",
    (
        FoundModel("net", "Net", 21_450, 650, Location("train.py", 19, 9)),
        FoundModel("teacher", "Net", 21_450, 0, Location("train.py", 18, 9)),
    ),
    (FoundOptimizer("SGD", 0.5, 50, ("net",), Location("train.py", 20, 13)),),
    (FoundLoader("Digits", "training", 64, 2, Location("train.py", 21, 10)),),
    (FoundLoss("cross_entropy", Location("train.py", 25, 9)), FoundLoss("expression", Location("train.py", 26, 9))),
)


def diagnosis(
    rules: list[Rule],
    seen: dict[type, Any],
    target: Target,
    notes: tuple[str, ...] = (),
    loop: TrainingLoop | None = None,
    log: str | None = None,
) -> Diagnosis:
    phases = {"start": 2.1, "observe": 1.4, "learning-rate": 3.8, "batch-size": 1.3}
    facts = RunFacts("cpu", 50, 9.1, ".dnndoctor/train.dnnrec", phases, notes, loop, log)
    return diagnose(target, facts, seen, judge(seen, rules))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    (made / "train.py").write_text(SOURCE)
    return made


@pytest.fixture(scope="session")
def sick() -> Diagnosis:
    notes = ("the rates were compared on the same 20 batches",)
    target = Target("train.py", ("--epochs", "3"))
    return diagnosis(sick_rules(), measurements(), target, notes, LOOP, ".dnndoctor/train.log")


@pytest.fixture(scope="session")
def sound() -> Diagnosis:
    rules = [yielding("DAT101", "non_finite_data", "training-data", Severity.ERROR, {})]
    return diagnosis(rules, measurements(), Target("train.py"))


@pytest.fixture(scope="session")
def unseen() -> Diagnosis:
    why = "the script made no optimizer step"
    return diagnosis([], {}, Target("train.py", outcome=Outcome.NOT, reason=why))


@pytest.fixture(scope="session")
def hostile() -> Diagnosis:
    """Markup, escape sequences, a bidirectional override and a lone surrogate wherever the user's text comes from."""
    found = Finding(
        HOSTILE,
        Location(f"{HOSTILE}.py", 3, 2),
        HOSTILE,
        (Evidence(HOSTILE, float("nan"), float("-inf"), HOSTILE),),
        Fix(HOSTILE, HOSTILE, HOSTILE),
    )
    layer = Layer(HOSTILE, "linear", HOSTILE, None, 1, 1, 1, 1)
    weight = Parameter(HOSTILE, HOSTILE, "Linear", (1, 1), "weight", 1, 1, True, std=1.0)
    seen: dict[type, Any] = {Layers: Layers(HOSTILE, (layer,)), Weights: Weights((weight,))}
    practice = "weight-initialization"
    rules = [
        yielding("INI102", "mis_scaled_weights", practice, Severity.ERROR, {"a": Layers}, found),
        yielding("LOS101", "softmax", "loss", Severity.ERROR, {}, NotExamined(HOSTILE)),
    ]
    place = Location(HOSTILE, 1)
    loop = TrainingLoop(
        "gan",
        HOSTILE,
        (FoundModel(HOSTILE, HOSTILE, 1, 1, place),),
        (FoundOptimizer(HOSTILE, float("nan"), 1, (HOSTILE,), place),),
        (FoundLoader(HOSTILE, "evaluation", None, 0, place),),
        (FoundLoss(HOSTILE, place),),
    )
    target = Target(HOSTILE, (HOSTILE,), outcome=Outcome.PARTLY, reason=HOSTILE)
    return diagnosis(rules, seen, target, (HOSTILE,), loop, HOSTILE)


@pytest.fixture(scope="session")
def remarked() -> Diagnosis:
    """A warning, and beside it something worth knowing."""
    fix = Fix("draw another rate", "It would fall further.", "lr=0.1")
    grave = Finding("the rate loses 80 % of the progress", Location("train.py", 12), "SGD", fix=fix)
    remark = Finding("the rate stays at 0.5 for 40 epochs", Location("train.py", 13), "SGD", fix=fix)
    rules = [
        yielding("LRN101", "rate_too_high", "learning-rate", Severity.WARNING, {}, grave),
        yielding("LRN106", "no_decay", "learning-rate", Severity.INFO, {}, remark),
    ]
    return diagnosis(rules, measurements(), Target("train.py"))
