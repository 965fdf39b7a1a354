from collections.abc import Iterator
from dataclasses import dataclass

from dnndoctor.changes import Change, InsertBefore, Rewrite, Safety
from dnndoctor.findings import Evidence, Finding, Fix, Location, Severity
from dnndoctor.measurements import Construction, Groups, Optimizer, Optimizers, Parameter, Run, TrainingLoop, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.learning_method.places import branch, given_to, owners
from dnndoctor.rules.naming import listed


@dataclass(frozen=True, slots=True)
class _Held:
    """The optimizer that is meant to have the parameters, its number, and where it is built."""

    index: int
    optimizer: Optimizer
    location: Location | None


@rule("OPT102", Severity.ERROR, practice="learning-method")
def parameters_not_optimised(
    weights: Weights,
    optimizers: Optimizers,
    construction: Construction | None,
    run: Run | None,
    loop: TrainingLoop | None = None,
    groups: Groups | None = None,
    *,
    tolerated: int = 0,
    patience: int = 30,
) -> Iterator[Finding]:
    """Trainable parameters get a gradient at every step, but no optimizer changes them.

    What it measures
        Which parameters the optimizers hold, and which the loss reaches: a gradient other than zero was seen in
        a parameter that requires one, was used, and is in no optimizer's groups. All are reported in one finding.
        An optimizer that holds such parameters and never steps is named as well. Layers in plain lists, and layers that
        a forward pass builds, have rules of their own.

    Why it matters
        They keep their random start for the whole run. The rest of the network learns around frozen noise.

    How to fix it
        Hand all of the model's parameters to the optimizer, those of a loss with weights of its own too, and make the
        optimizer after the last change to the model. What is to stay frozen gets ``requires_grad_(False)``.

    When to ignore it
        The script updates these parameters by hand. Weights loaded from a checkpoint are reported as information:
        leaving them out is a way to freeze them, at the price of gradients that nobody uses.

    References
        PyTorch documentation, torch.optim, "Constructing it": an optimizer updates the parameters given, no others.
        patience: 30, this project's choice: steps of the others before an optimizer counts as never stepped.
        tolerated: 0, PyTorch documentation, torch.optim: a single parameter left out stays as it was.
    """
    left_out = [
        each
        for each in weights.parameters
        if each.trainable and each.used and each.received_gradient and each.optimizer is None
        if construction is None or not construction.explains(each.name, each.location)
    ]
    yield from _idle([each for each in left_out if each.idle_optimizer_at], optimizers, run, patience)
    for loaded in (False, True):
        group = [each for each in left_out if each.loaded is loaded and not each.idle_optimizer_at]
        if len(group) <= tolerated:
            continue
        entries, modules = sum(each.size for each in group), list(dict.fromkeys(branch(each.module) for each in group))
        place = next((each.location for each in group if each.location), None)
        at = f" (built at {place.file}:{place.line})" if place else ""
        names = listed([each.name for each in group])
        held = _nearest(weights, optimizers, modules, group)
        yield Finding(
            f"{len(group)} parameters with {entries} entries get gradients but no optimizer holds them: {names}{at}",
            location=held.location or place,
            subject=listed([each.name for each in group], most=1),
            evidence=(Evidence("parameters in no optimizer", len(group), 0), Evidence("entries", entries, 0)),
            fix=_freeze(held, modules)
            if loaded
            else _include(held, modules, entries, _handed_over(held, group, weights, loop, groups)),
            severity=Severity.INFO if loaded else Severity.ERROR,
        )


def _idle(group: list[Parameter], optimizers: Optimizers, run: Run | None, patience: int) -> Iterator[Finding]:
    """Adversarial networks take turns, and one may wait for long."""
    if not group or optimizers.main.steps < patience or (run is not None and run.family == "gan"):
        return
    for place in dict.fromkeys(each.idle_optimizer_at for each in group):
        held = [each for each in group if each.idle_optimizer_at == place]
        entries = sum(each.size for each in held)
        yield Finding(
            f"the optimizer of {len(held)} parameters with {entries} entries never steps, though they get gradients: "
            f"{listed([each.name for each in held])}",
            location=place,
            subject=held[0].name,
            evidence=(Evidence("steps of this optimizer", 0, optimizers.main.steps),),
            fix=Fix(
                "step this optimizer as well",
                f"Lets {entries} entries learn that now stay at their random start.",
                "optimizer.step()  # beside the other one's, after backward",
            ),
        )


def _nearest(weights: Weights, optimizers: Optimizers, modules: list[str], group: list[Parameter]) -> _Held:
    """The optimizer that holds parts of the same branch, else the one that stepped on their gradients in vain."""
    for each in weights.parameters:
        if each.optimizer is not None and branch(each.module) in modules and each.optimizer < len(optimizers.all):
            return _held(optimizers, each.optimizer)
    found = next((each.stepped_next for each in group if each.stepped_next is not None), None)
    if found is None or found >= len(optimizers.all):
        return _held(optimizers, optimizers.all.index(optimizers.main))
    return _held(optimizers, found, next((e.stepped_next_at for e in group if e.stepped_next_at is not None), None))


def _held(optimizers: Optimizers, index: int, at: Location | None = None) -> _Held:
    return _Held(index, optimizers.all[index], at or optimizers.all[index].location)


def _freeze(held: _Held, modules: list[str]) -> Fix:
    code = f"model.{modules[0]}.requires_grad_(False)" if modules[0] else "model.requires_grad_(False)"
    alone = len(modules) == 1 and modules[0] and held.location is not None
    return Fix(
        "freeze what is not to be trained",
        "Saves the gradients that are computed and never used.",
        code,
        (InsertBefore(code, at=held.location, safety=Safety.SAFE),) if alone else (),
    )


def _include(held: _Held, modules: list[str], entries: int, changes: tuple[Change, ...]) -> Fix:
    code = f"optimizer = torch.optim.{held.optimizer.name}(model.parameters(), lr={held.optimizer.peak_rate:g})"
    return Fix(
        f"give {listed([each or 'the whole model' for each in modules])} to the optimizer",
        f"Lets {entries} entries learn that now stay at their random start. A module outside of the model is added "
        "with optimizer.add_param_group.",
        code,
        changes,
    )


def _handed_over(
    held: _Held, group: list[Parameter], weights: Weights, loop: TrainingLoop | None, groups: Groups | None
) -> tuple[Change, ...]:
    """The models that were left out, beside what the optimizer trains or in the place of what it holds in vain."""
    models = owners([each.name for each in group], loop)
    mine = [each for each in weights.parameters if each.optimizer == held.index]
    twice = _held_by_others(held, groups)
    mine = [each for each in mine if each.name not in twice] if any(each.received_gradient for each in mine) else []
    others = [each.name for each in weights.parameters if each.optimizer not in (None, held.index)]
    if not models or held.location is None or any(each in models for each in owners(others, loop)):
        return ()  # of a model that two optimizers share it is not known which of them is meant to have the rest
    calls = [f"{each.name}.parameters()" for each in models]
    of, several = (held.optimizer.name,), len(held.optimizer.learning_rates) > 1
    beside = mine and (several or not set(owners([each.name for each in mine], loop)) <= set(models))
    if not beside and len(calls) == 1:
        return given_to(held.location, held.optimizer.name, models[0])
    parts = [f'{{"params": {each}}}' if several else f"*{each}" for each in calls]
    code = f"[{', '.join(['*{it}', *parts] if beside else parts)}]"
    return (Rewrite(code, argument=0, at=held.location, of=of, safety=Safety.SAFE),)


def _held_by_others(held: _Held, groups: Groups | None) -> set[str]:
    """What another optimizer holds as well: a copied line."""
    others = [each for i, each in enumerate(groups.optimizers) if i != held.index] if groups is not None else []
    return {name for each in others for group in each.groups for name in group.names}
