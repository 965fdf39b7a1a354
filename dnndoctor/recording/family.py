"""Which kind of training it is, judged from what was measured; never from names.

Recognition is strict: a family silences rules, so that a wrong one would hide faults. A sign has to be there in
most of the steps that were looked at, and in two of them at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from dnndoctor.families import FAMILIES
from dnndoctor.recording.reader import Row, Rows

FEWEST_STEPS = 2
MOST_STEPS_SHARE = 0.5
FROZEN_SHARE = 0.5
ACTING = 4  # passes without gradients between two steps, or draws: more than a look at a metric
SET = "set by the user"
NO_SIGN = "no sign of another family was seen"


def recognised(rows: Rows, chosen: str | None = None) -> tuple[str, str]:
    """The family and, in a sentence, the sign that it was known by; the user's word comes first."""
    chosen = chosen or rows.run.get("family")
    if chosen in FAMILIES:
        return str(chosen), SET
    signs = Signs(rows)
    judges: Mapping[str, Callable[[Signs], str | None]] = {
        "gan": _adversarial,
        "reinforcement": _reinforcement,
        "diffusion": _diffusion,
        "variational": _variational,
        "contrastive": _contrastive,
        "fine-tuning": _fine_tuning,
    }
    for family, judge in judges.items():
        reason = judge(signs)
        if reason is not None:
            return family, reason
    return "supervised", NO_SIGN


class Signs:
    """What was counted in the first steps, with the rows that say who is who."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        facts: Row = rows.run.get("signs") or {}
        self.steps: dict[str, int] = facts.get("steps") or {}
        self.teaching = {(d, g): n for d, g, n in facts.get("teaching") or ()}
        self.judging = {(d, g): n for d, g, n in facts.get("judging") or ()}
        self.acting: int = facts.get("most_acting") or 0
        self.drawn: int = facts.get("drawn") or 0

    def seen(self, sign: str) -> bool:
        """In most steps, and in two at least."""
        count, steps = self.steps.get(sign, 0), self.steps.get("steps", 0)
        return count >= max(FEWEST_STEPS, MOST_STEPS_SHARE * steps)

    def learns_values(self, optimizer: int) -> bool:
        """Whether what it trains is moved towards targets that a model itself puts out."""
        return self.steps.get(f"bootstrapped {optimizer}", 0) >= FEWEST_STEPS

    def model(self, optimizer: int) -> str | None:
        """The name of the one model that an optimizer trains, if no other optimizer trains it too."""
        loop = self.rows.run.get("loop") or {}
        held: list[list[int]] = loop.get("optimizers") or []
        mine = held[optimizer] if optimizer < len(held) else []
        if len(mine) != 1 or sum(mine == each for each in held) > 1:
            return None
        row = loop["models"][mine[0]]
        return str(row["name"] or row["class"])

    @property
    def loaded(self) -> bool:
        """Whether weights of a trained model, or of a frozen one of another make, were loaded before training."""
        return pretrained(self.rows)

    @property
    def sign_changes(self) -> bool:
        """Whether the loss lies on both sides of zero, or below it, in a good part of the steps."""
        losses: list[float] = [r["loss"] for r in self.rows["step"] if r["loss"] is not None]
        return sum(each < 0 for each in losses) >= max(2, 0.1 * len(losses))

    @property
    def loader(self) -> bool:
        """Whether steps are made on a loader's batches."""
        return any(bool(r["facts"]["steps"]) for r in self.rows["loader"])


def pretrained(rows: Rows) -> bool:
    """Whether what is trained, or feeds it, started from loaded weights; a copy of the trained model does not count."""
    if not rows.run.get("pretrained"):
        return False
    models: list[Row] = (rows.run.get("loop") or {}).get("models") or []
    loaded = [r for r in rows["parameter"] if r["facts"].get("loaded")]
    if not models or any(r["optimizer"] is not None for r in loaded):
        return True
    trained = {row["class"] for row in models if row["trainable"]}
    owners = [row for row in models if any(_belongs(r, row) for r in loaded)]
    return any(row["trainable"] or row["class"] not in trained for row in owners)


def _belongs(parameter: Row, model: Row) -> bool:
    prefix = model["prefix"]
    return not prefix or str(parameter["name"]).startswith(prefix + ".")


def _adversarial(signs: Signs) -> str | None:
    for pair, taught in signs.teaching.items():
        judged = signs.judging.get(pair, 0)
        # A critic may be fed with what the actor put out, too, but learns values and not to judge.
        if taught and judged and taught + judged >= 3 and not signs.learns_values(pair[0]):
            judge, student = (signs.model(each) for each in pair)
            if judge and student and judge != student:
                return f"{judge} is trained on what {student} puts out, and {student} through {judge}"
            return "one network is trained on what another puts out, and that one through the first"
    return None


def _reinforcement(signs: Signs) -> str | None:
    if signs.seen("score"):
        return "the loss holds log-probabilities of actions that were drawn from the model's own output"
    if signs.seen("valued"):
        return "one output per sample is picked and moved towards what a model itself puts out"
    for (judge, student), taught in signs.teaching.items():
        if taught >= FEWEST_STEPS and signs.learns_values(judge):
            critic, actor = signs.model(judge) or "one network", signs.model(student) or "another"
            return f"{actor} is trained through {critic}, whose own targets come from what a model puts out"
    chosen = (signs.seen("log_prob") or signs.seen("picked")) and not signs.loader
    if chosen and signs.drawn >= ACTING:
        return "actions are drawn from the model's own output, and the loss holds log-probabilities of them"
    if chosen and signs.sign_changes and signs.acting >= ACTING:
        return "log-probabilities are weighted so that the loss changes its sign, and the model acts between the steps"
    return None


def _diffusion(signs: Signs) -> str | None:
    if signs.seen("denoised"):
        return "the model is given data mixed with noise and is measured against that noise"
    return None


def _variational(signs: Signs) -> str | None:
    # Its search through the autograd graph ends after two steps that showed it.
    if signs.steps.get("divergence", 0) >= FEWEST_STEPS:
        return "a latent value is drawn as mean plus scale times noise, and the loss holds that mean to a prior"
    return None


def _contrastive(signs: Signs) -> str | None:
    if signs.seen("contrasted"):
        return "all samples of a batch are compared with each other, and the loss normalises over them"
    for sign in signs.steps:
        kind, _, operation = sign.partition(" ")
        if kind == "metric" and signs.seen(sign):
            how = "up to a margin" if operation == "margin" else f"by {operation}"
            return f"the loss compares several outputs of one model with each other, {how}"
    return None


def _fine_tuning(signs: Signs) -> str | None:
    if signs.loaded:
        return "weights were loaded before the first step"
    share = _frozen_share(signs.rows)
    if share >= FROZEN_SHARE:
        return f"{share:.0%} of the parameters that the trained model uses are frozen"
    return None


def _frozen_share(rows: Rows) -> float:
    models: list[Row] = (rows.run.get("loop") or {}).get("models") or []
    trained = [row for row in models if row["trainable"]]
    mine = [r for r in rows["parameter"] if r["facts"].get("used") and any(_belongs(r, row) for row in trained)]
    sizes = [(math.prod(r["shape"]), bool(r["trainable"])) for r in mine]
    total = sum(size for size, _ in sizes)
    return sum(size for size, trainable in sizes if not trainable) / total if total else 0.0
