"""The training loop that was found, in a few lines that terminal and page share."""

from collections.abc import Iterator, Sized

from dnndoctor.diagnosis import RunFacts
from dnndoctor.findings import Location
from dnndoctor.measurements import FoundLoader, FoundLoss, FoundModel, FoundOptimizer, TrainingLoop
from dnndoctor.reports.course import told
from dnndoctor.reports.words import figure, joined, plural, printable

MOST_LISTED = 3
SET = "set by the user"
TITLES = {
    "supervised": "supervised",
    "gan": "adversarial (gan)",
    "reinforcement": "reinforcement learning",
    "contrastive": "contrastive",
    "variational": "variational",
    "diffusion": "diffusion",
    "fine-tuning": "fine-tuning",
}


def described(run: RunFacts) -> tuple[tuple[str, str], ...]:
    """Label and text of each line; empty where no loop was found and nothing was printed by the program."""
    lines = list(_lines(run.loop)) if run.loop else []
    lines += told(run.course) if run.course else []
    if run.ended_by:
        lines.append(("ended by", run.ended_by))
    if run.log:
        lines.append(("output", f"the program's own: {run.log}"))
    return tuple((label, printable(text)) for label, text in lines)


def _lines(loop: TrainingLoop) -> Iterator[tuple[str, str]]:
    yield "training", _family(loop)
    if loop.models:
        yield _label("model", loop.models), _listed([_model(each) for each in loop.models])
    yield _label("optimizer", loop.optimizers), _listed([_optimizer(each, loop) for each in loop.optimizers])
    used = [each for each in loop.loaders if each.role != "unused"]
    yield "data", _listed([_loader(each) for each in used]) if used else "batches are made by the script itself"
    yield _label("loss", _by_name(loop.losses), "es"), _listed(_losses(loop.losses))


def _label(word: str, things: Sized, ending: str = "s") -> str:
    return word if len(things) == 1 else word + ending


def _family(loop: TrainingLoop) -> str:
    title = TITLES.get(loop.family, loop.family)
    if loop.family == "supervised" and loop.family_reason != SET:
        return title
    doubt = "" if loop.family_reason == SET else "; if it is not: --family supervised"
    return f"{title}: {loop.family_reason}{doubt}"


def _listed(things: list[str]) -> str:
    """The first few, and how many more there are."""
    more = len(things) - MOST_LISTED
    shown = things[:MOST_LISTED] if more > 0 else things
    return "; ".join(shown) + (f" and {more} more" if more > 0 else "")


def _at(location: Location | None) -> str:
    return f" ({location.file}:{location.line})" if location else ""


def _model(model: FoundModel) -> str:
    name = model.name if model.class_name in model.name else f"{model.name} = {model.class_name}"
    if model.tensors:
        name = f"{plural(len(model.tensors), 'tensor')} {model.name}"
    size = plural(model.parameters, "parameter")
    if not model.trainable:
        size += ", not trained"
    elif model.trainable < model.parameters:
        size += f", {figure(model.trainable)} trained"
    return f"{name}, {size}{_at(model.location)}"


def _optimizer(optimizer: FoundOptimizer, loop: TrainingLoop) -> str:
    trained = [each for each in loop.models if each.trainable]
    of = f" for {joined(optimizer.models)}" if optimizer.models and len(trained) > 1 else ""
    lowest = f"{optimizer.lowest_rate:.3g} to " if optimizer.lowest_rate is not None else ""
    rate = f", learning rate {lowest}{optimizer.learning_rate:.3g}" if optimizer.learning_rate > 0 else ""
    return f"{optimizer.name}{of}{rate}{_at(optimizer.location)}"


def _loader(loader: FoundLoader) -> str:
    batches = f" in batches of {loader.batch_size}" if loader.batch_size else ""
    workers = f", {plural(loader.workers, 'worker')}" if loader.workers else ""
    role = "" if loader.role == "training" else " for evaluation"
    return f"{loader.name}{batches}{workers}{role}{_at(loader.location)}"


def _by_name(losses: tuple[FoundLoss, ...]) -> dict[str, list[FoundLoss]]:
    found: dict[str, list[FoundLoss]] = {}
    for each in losses:
        found.setdefault(each.name, []).append(each)
    return found


def _losses(losses: tuple[FoundLoss, ...]) -> list[str]:
    """One entry for each operation; lines of one file share its name."""
    return [f"{name}{_places([each.location for each in group])}" for name, group in _by_name(losses).items()]


def _places(locations: list[Location | None]) -> str:
    files: dict[str, list[str]] = {}
    for each in locations:
        if each is not None:
            lines = files.setdefault(each.file, [])
            lines += [str(each.line)] if str(each.line) not in lines else []
    shown = [f"{file}:{_few(lines)}" for file, lines in files.items()]
    return f" ({_listed(shown)})" if shown else ""


def _few(lines: list[str]) -> str:
    more = len(lines) - MOST_LISTED
    return ", ".join(lines[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
