from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, InsertAfter, InsertBefore, Loop, Rewrite, Safety, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Clearings, LooseDropout, LooseDropouts, Mode, Modes
from dnndoctor.rule import rule

NEW = {"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"}  # what a pass builds has no path


@rule(
    "REG103",
    Severity.ERROR,
    practice="regularization",
    not_for={
        "gan": "in adversarial training passes without an update are part of training",
        "reinforcement": "in reinforcement learning the model acts without an update, as a part of training",
    },
)
def dropout_active_in_evaluation(
    modes: Modes, loose: LooseDropouts | None, clearings: Clearings | None = None, *, fewest: int = 1
) -> Iterator[Finding]:
    """The model is evaluated in training mode: dropout drops, batch norm follows the evaluation batches.

    What it measures
        The mode of every dropout and batch-norm layer at each pass that no update follows: gradients off, or
        batches that are not trained on. And dropouts within a model's forward that no mode reaches: called as a
        function without ``training``, or a layer that the pass builds; where no evaluation was seen that is
        information.

    Why it matters
        Dropout makes the score worse and random. Batch norm is worse: it takes up the evaluation data's statistics, so
        that the measured set leaks into the model, and a score depends on who else is in the batch.

    How to fix it
        Call ``model.eval()`` before the evaluation and ``model.train()`` after it. Give a dropout that is called as a
        function ``training=self.training``.

    When to ignore it
        Dropout is sampled on purpose (Monte-Carlo dropout). Repeated passes over one batch are left out already; passes
        over training data, or of a model in mixed modes, are information only.

    References
        Srivastava et al. 2014, Dropout, section 1: at test time one network without dropout.
        Ioffe and Szegedy 2015, Batch Normalization, section 3.1: population statistics in inference.
        fewest: 1, Srivastava et al. 2014, section 1: one pass in the wrong mode gives a wrong score.
    """
    lines = loose.lines if loose else ()
    for line in lines:
        yield _unreached(line)
    if lines and not modes.mode_layers:
        return
    if not modes.mode_layers and modes.functional:
        raise NotExamined("batch norm is called as a function only, or dropout with a mode of its own")
    if not modes.mode_layers:
        raise NotApplicable("the model has neither dropout nor batch norm")
    if not modes.purpose("evaluation"):
        raise NotExamined("no evaluation pass was seen")
    places: dict[tuple[str, Location | None], list[Mode]] = {}
    for each in modes.purpose("evaluation"):
        if (
            each.active
            and not (any(line.layer for line in lines) and set(each.active) <= NEW)
            and each.trainable
            and not each.same_input
            and not (each.gradients and each.training_data)
        ):
            places.setdefault((each.model, each.location), []).append(each)
    for (model, location), group in places.items():
        passes, layers = sum(each.passes for each in group), list(dict.fromkeys(n for e in group for n in e.active))
        if passes < fewest:
            continue
        meant = all(each.training_data or each.inactive for each in group)
        names = ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
        yield Finding(
            f"{model} was evaluated {passes} times with {_counted(layers)} in training mode: {names}",
            location=location,
            subject=model,
            evidence=(Evidence("layers in training mode", len(layers), 0), Evidence("passes", passes)),
            fix=Fix(
                "switch to evaluation mode before evaluating",
                "The score is then no longer tied to chance or to the batch by dropout or batch norm.",
                "model.eval()\n...  # evaluate\nmodel.train()",
                _switched(model, location, modes, clearings) if not meant else (),
            ),
            severity=Severity.INFO if meant else Severity.ERROR,
        )


def _counted(layers: list[str]) -> str:
    return f"{len(layers)} layer{'s' if len(layers) != 1 else ''}"


def _unreached(line: LooseDropout) -> Finding:
    what = f"a new {line.function} layer" if line.layer else f"{line.function} without the argument training"
    seen = f"{line.evaluation} times in evaluation" if line.evaluation else "in evaluation as well"
    code = f"F.{line.function}(x, p={line.p:g}, training=self.training)"
    return Finding(
        f"{line.holder} calls {what} in its forward pass, so that it drops {line.p:.0%} {seen}",
        location=line.location,
        subject=line.holder,
        evidence=(Evidence("calls in evaluation", line.evaluation, 0), Evidence("probability to be dropped", line.p)),
        fix=Fix(
            "let the model's mode reach the dropout",
            "The score is then no longer tied to chance.",
            f"self.dropout = nn.Dropout({line.p:g})  # in __init__" if line.layer else code,
            (_reached(line),),
        ),
        severity=Severity.ERROR if line.evaluation else Severity.INFO,
    )


def _switched(model: str, location: Location | None, modes: Modes, clearings: Clearings | None) -> tuple[Change, ...]:
    """Around the evaluation's loop; where nothing can stand behind it, back to training before each training pass."""
    if location is None or clearings is None or not clearings.training:
        return ()
    around = Loop(without=clearings.training)
    off = InsertBefore("{callee}.eval()", at=location, loop=around, safety=Safety.SAFE)
    on = InsertAfter("{callee}.train()", at=location, loop=around, unless="train", safety=Safety.SAFE)
    options: tuple[tuple[Change, ...], ...] = ((off, on),)
    trained = next((each.location for each in modes.purpose("training") if each.model == model), None)
    if trained is not None:
        options += ((off, InsertBefore("{callee}.train()", at=trained, safety=Safety.SAFE)),)
    return (FirstOf(options, at=location, safety=Safety.SAFE),)


def _reached(line: LooseDropout) -> Change:
    if line.layer:
        code = f"torch.nn.functional.{line.function}({{0}}, {line.p:g}, self.training)"
        return Rewrite(code, of=tuple(f"{each}()" for each in sorted(NEW)), safety=Safety.SAFE)
    return SetArgument("training", "self.training", position=2, of=(line.function,), safety=Safety.SAFE)
