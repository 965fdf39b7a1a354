"""The JSON report, version 1, as types. Other programs read it: it changes only with ``schema_version``."""

from typing import Annotated, Literal

import msgspec

Number = float | Literal["nan", "inf", "-inf"]
Count = Annotated[int, msgspec.Meta(ge=0)]
Position = Annotated[int, msgspec.Meta(ge=1)]


class Tool(msgspec.Struct, frozen=True):
    """What wrote the report."""

    name: Literal["dnndoctor"]
    version: str


class Target(msgspec.Struct, frozen=True):
    """What was examined, and how far; ``path`` is relative to the working directory."""

    path: str
    args: list[str]
    kind: str
    outcome: Literal["examined", "partly-examined", "not-examined"]
    reason: str | None


class Location(msgspec.Struct, frozen=True):
    """A place in the source; line and column count from 1."""

    file: str
    line: Position
    column: Position


class Model(msgspec.Struct, frozen=True):
    """A model of the user's, without wrappers; ``trainable``: parameters that an optimizer holds."""

    name: str
    class_name: str = msgspec.field(name="class")
    parameters: Count
    trainable: Count
    location: Location | None


class Optimizer(msgspec.Struct, frozen=True):
    """An optimizer; ``models``: the names of those that it trains."""

    name: str
    learning_rate: Number
    steps: Count
    models: list[str]
    location: Location | None


class Loader(msgspec.Struct, frozen=True):
    """A data loader; ``name``: its dataset's class."""

    name: str
    role: Literal["training", "evaluation", "unused"]
    batch_size: Count | None
    workers: Count
    location: Location | None


class Loss(msgspec.Struct, frozen=True):
    """A loss operation, or "expression" for one that is written out."""

    name: str
    location: Location | None


class Loop(msgspec.Struct, frozen=True):
    """The training loop that was found; without ``loaders`` the script makes its batches itself."""

    family: Literal["supervised", "gan", "reinforcement", "contrastive", "variational", "diffusion", "fine-tuning"]
    family_reason: str
    models: list[Model]
    optimizers: list[Optimizer]
    loaders: list[Loader]
    losses: list[Loss]


class Flip(msgspec.Struct, frozen=True):
    """A rule on which repeated runs disagree; ``stands``: most of the ``judged`` runs found it."""

    rule: str
    found: Count
    judged: Count
    stands: bool
    grades: list[str]


class Repeats(msgspec.Struct, frozen=True):
    """The runs that this is the median of; fewer than planned where these agree."""

    runs: Count
    planned: Count
    flips: list[Flip]
    recordings: list[str]


class WentWrong(msgspec.Struct, frozen=True):
    """Where the loss left its way; ``kind``: "risen" (for good), "jump" (that came back) or "non-finite"."""

    kind: Literal["risen", "jump", "non-finite"]
    step: Number
    before: Number
    after: Number
    end: Number


class Moved(msgspec.Struct, frozen=True):
    """A logged quantity that left its level around then."""

    name: str
    role: str
    step: Number
    before: Number
    after: Number


class Checkpoint(msgspec.Struct, frozen=True):
    """The last checkpoint to go on from."""

    path: str
    step: Number


class Course(msgspec.Struct, frozen=True):
    """A whole run as its logs tell it; ``unit``: what its steps count."""

    unit: Literal["step", "epoch", "point"]
    last_step: Number
    went_wrong: WentWrong | None
    moved: list[Moved]
    go_on_from: Checkpoint | None


class Run(msgspec.Struct, frozen=True):
    """The examination itself; ``log``: the file with the program's own output, ``loop`` null where none was found.

    ``repeats`` is null for a single run, ``course`` where no logs of a whole run were read.
    """

    device: str
    steps_observed: Count
    wall_seconds: Number
    recording: str | None
    log: str | None
    loop: Loop | None
    repeats: Repeats | None = None
    course: Course | None = None


class Practice(msgspec.Struct, frozen=True):
    """One practice's verdict."""

    id: str
    title: str
    verdict: Literal["pass", "warn", "fail", "not-applicable", "not-examined"]
    reason: str | None


class Rule(msgspec.Struct, frozen=True):
    """How one rule ended."""

    rule: str
    state: Literal["finding", "pass", "not-applicable", "not-examined", "crashed"]
    reason: str | None


class Evidence(msgspec.Struct, frozen=True):
    """A measured figure, and what it should have been; one that is not finite is spelled out."""

    name: str
    value: Number
    expected: Number | None
    unit: str | None


class Fix(msgspec.Struct, frozen=True):
    """What to do; ``diff`` is a unified diff, ``verified`` what trying it showed."""

    summary: str
    explanation: str
    diff: str | None
    verified: bool | None


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong; ``caused_by`` is the code of the rule whose finding brought it about."""

    rule: str
    name: str
    practice: str
    severity: Literal["error", "warning", "info"]
    message: str
    location: Location | None
    subject: str | None
    evidence: list[Evidence]
    caused_by: str | None
    fix: Fix | None


class Summary(msgspec.Struct, frozen=True):
    """Findings by severity."""

    error: Count
    warning: Count
    info: Count


class Report(msgspec.Struct, frozen=True):
    """The diagnosis of one training run."""

    schema_version: Literal[1]
    tool: Tool
    target: Target
    run: Run
    practices: list[Practice]
    rules: list[Rule]
    findings: list[Finding]
    summary: Summary
