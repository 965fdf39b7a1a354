from collections import Counter
from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Optimizer, Optimizers, Parameter, TrainingLoop, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.learning_method.places import given_to, owners


@rule("OPT103", Severity.ERROR, practice="learning-method")
def stale_parameters(
    weights: Weights,
    optimizers: Optimizers,
    loop: TrainingLoop | None = None,
    *,
    fewest_steps: int = 3,
    alike: float = 0.5,
) -> Iterator[Finding]:
    """The optimizer holds the parameters of another model than the one that is trained.

    What it measures
        An optimizer none of whose parameters got a gradient in any watched step, while parameters of the same shapes
        get gradients at every step and are in no optimizer.

    Why it matters
        Every step changes a model that nobody uses. The one that is trained stays at its start, without any error.

    How to fix it
        Build the optimizer after the model has been made, copied or loaded for the last time.

    When to ignore it
        Never known to be meant.

    References
        PyTorch documentation, torch.optim, "Constructing it": the optimizer keeps the parameter objects that it is
        given; a module that is made or copied later has others.
        fewest_steps: 3, this project's choice: as in parameters-never-change.
        alike: 0.5, this project's choice: share of the optimizer's parameters that have a counterpart of their shape.
    """
    if all(each.optimizer is None for each in weights.parameters):
        raise NotApplicable("no optimizer holds a parameter")
    astray = [each for each in weights.parameters if _astray(each)]
    watched = False
    for index, optimizer in enumerate(optimizers.all):
        held = [each for each in weights.parameters if each.optimizer == index]
        stepped = bool(held) and all(each.effective_steps >= fewest_steps for each in held)
        watched = watched or stepped
        if not stepped or any(each.received_gradient for each in held):
            continue
        shapes, others = Counter(each.shape for each in held), Counter(each.shape for each in astray)
        if (shapes & others).total() >= alike * len(held):
            yield _finding(optimizer, held, astray, loop)
    if not watched:
        raise NotExamined(f"no optimizer made {fewest_steps} steps at a rate above zero in the watch")


def _astray(each: Parameter) -> bool:
    return each.trainable and each.received_gradient and each.optimizer is None


def _finding(
    optimizer: Optimizer, held: list[Parameter], astray: list[Parameter], loop: TrainingLoop | None
) -> Finding:
    models = owners([each.name for each in astray], loop)
    alone = len(models) == 1 and optimizer.location is not None and len(optimizer.learning_rates) == 1
    built = next((each.location for each in astray if each.location is not None), None)
    at = f", built at {built.file}:{built.line}" if built is not None else ""
    return Finding(
        f"{optimizer.name} steps on {len(held)} parameters that no loss reaches, and not on the {len(astray)} of the "
        f"model that is trained{at}",
        location=optimizer.location,
        subject=optimizer.name,
        evidence=(
            Evidence("parameters that no loss reaches", len(held), 0),
            Evidence("parameters in no optimizer", len(astray), 0),
        ),
        fix=Fix(
            "build the optimizer after the model is complete",
            "Its steps then change the model that is trained.",
            f"model = ...  # made, copied, loaded\noptimizer = torch.optim.{optimizer.name}(model.parameters(), "
            f"lr={optimizer.peak_rate:g})",
            given_to(optimizer.location, optimizer.name, models[0]) if alone and optimizer.location else (),
        ),
    )
