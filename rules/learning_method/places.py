"""The parts of a model by name, and what the script calls the models."""

from collections.abc import Iterable

from dnndoctor.changes import Change, FirstOf, MoveBehind, Safety, SetArgument
from dnndoctor.findings import Location
from dnndoctor.measurements import FoundModel, TrainingLoop


def branch(module: str) -> str:
    """The part of the model, one level down, that a module belongs to."""
    return module.partition(".")[0]


def owners(parameters: Iterable[str], loop: TrainingLoop | None) -> tuple[FoundModel, ...]:
    """The models that hold these parameters; none where one of them has no name in the script."""
    models = [each for each in loop.models if not each.tensors] if loop is not None else []
    found: list[FoundModel] = []
    for name in parameters:
        holders = [each for each in models if _inside(name, each.prefix)]
        if not holders:
            return ()
        nearest = max(holders, key=lambda each: len(each.prefix))  # one that was alone once has no prefix
        found += [nearest] if nearest not in found else []
    return tuple(found) if all(each.name != each.class_name for each in found) else ()


def given_to(at: Location, optimizer: str, model: FoundModel) -> tuple[Change, ...]:
    """The optimizer is given all of the model's parameters, and is built behind it."""
    of = (optimizer,)
    given = SetArgument("params", f"{model.name}.parameters()", position=0, at=at, of=of, safety=Safety.SAFE)
    later = MoveBehind(model.name, at=at, safety=Safety.SAFE)
    return (FirstOf(((given,), (given, later), (later,)), at=at, safety=Safety.SAFE),)


def _inside(parameter: str, prefix: str) -> bool:
    return not prefix or parameter == prefix or parameter.startswith(f"{prefix}.")
