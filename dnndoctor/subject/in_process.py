"""Examines objects inside of the program that holds them, and leaves them, and the process, as they were."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import torch
from torch import nn

from dnndoctor.findings import Location
from dnndoctor.observe import arguments, device, source
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.conductor import Conductor
from dnndoctor.recording.writer import Writer
from dnndoctor.subject import hooks, places
from dnndoctor.subject.given import Given
from dnndoctor.subject.model_file import Offer, built, lazy_layers
from dnndoctor.subject.objects import train
from dnndoctor.subject.plain_loop import BadTarget
from dnndoctor.subject.protocol import Ending
from dnndoctor.subject.untouched import Untouched

Report = Callable[[str, int, int], None]


def examine_objects(
    offer: Offer,
    given: Given,
    recording: str,
    *,
    steps: int,
    probes: bool,
    budget: float,
    seed: int | None,
    family: str | None,
    report: Report,
) -> Ending:
    """Train ``offer`` in a plain loop, watched, and write a recording. Raises BadTarget for what cannot be trained."""
    began = time.monotonic()
    here = _here()
    offer.model = built(offer.model, "model")
    lazy = lazy_layers(offer.model)
    if lazy:
        name = type(offer.model).__name__
        raise BadTarget(f"{name} has lazy layers ({', '.join(lazy[:3])}): run one batch through it first, model(batch)")
    writer = Writer(recording)
    writer.run(
        script=type(offer.model).__name__,
        args=[],
        torch_version=str(torch.__version__),
        python_version=sys.version.split()[0],
        accelerator=device.name(),
        family=family,
        probes=probes,
    )
    watch = Watch(writer)
    conductor = Conductor(watch, steps=steps, probes=probes, deadline=began + budget, report=report)
    try:
        with _kept(offer), _watched(watch, conductor):
            _note_places(offer, watch, here)
            if seed is not None:
                torch.manual_seed(seed)
            ending = _trained(offer, given, watch)
            watch.forward.active = watch.observing = False
            _measure_the_rest(watch, conductor)
        if watch.failure is not None:
            ending = Ending(kind="failed", message=watch.failure)
        writer.run(wall_seconds=time.monotonic() - began, phases=conductor.clock.phases, ending=ending.kind)
    finally:
        writer.close()
    return msgspec.structs.replace(ending, steps=watch.step)


def _here() -> Location | None:
    """The line that asked for the check. What was remembered of an earlier working directory is forgotten first."""
    for each in (
        source._start,
        source.relative,
        source._position,
        arguments._tree,
        arguments._calls,
        places._parsed,
        places._values,
    ):
        each.cache_clear()
    return source.caller()


def _built_at(value: Any, here: Location | None, otherwise: Location | None = None) -> Location | None:
    """The line that made an object, where a variable of the caller's holds it and the source is at hand."""
    name = source.variable_names({id(value): value}).get(id(value))
    return (places.assigned_before(here, name) if name and here else None) or otherwise


def _kept(offer: Offer) -> Untouched:
    modules = [each for each in (offer.model, offer.loss) if isinstance(each, nn.Module)]
    return Untouched(modules, offer.optimizer, offer.scheduler, [each for each in (offer.train, offer.val) if each])


@contextlib.contextmanager
def _watched(watch: Watch, conductor: Conductor) -> Iterator[None]:
    """Hooks and modes of ours are there within, and gone afterwards."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "Using `torch.compile.module.` when there are global hooks")  # they are ours
        if hasattr(torch.compiler, "set_stance"):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.callback(hooks.install(watch, conductor).remove)
        stack.enter_context(watch.forward)
        yield


def _note_places(offer: Offer, watch: Watch, here: Location | None) -> None:
    for module, place in places.built_at(offer.model, here).items():
        watch.modules.note(module, place)
    if isinstance(offer.optimizer, torch.optim.Optimizer):
        watch.optimizer_built[offer.optimizer] = _built_at(offer.optimizer, here)
    if isinstance(offer.scheduler, torch.optim.lr_scheduler.LRScheduler):
        watch.schedulers.setdefault(offer.scheduler, None)
    for loader in (offer.train, offer.val):
        if isinstance(loader, torch.utils.data.DataLoader):
            watch.loaders.built[loader] = _built_at(loader, here, here)


def _trained(offer: Offer, given: Given, watch: Watch) -> Ending:
    try:
        return train(offer, watch, given, kind="objects")
    except BadTarget:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's objects raise is an ending, and told
        frames = [f for f in traceback.extract_tb(error.__traceback__) if source.is_user_file(f.filename)]
        said = (str(error).splitlines() or [""])[0][:300]
        return Ending(
            kind="exception",
            message=f"{type(error).__name__}: {said}",
            file=source.relative(frames[-1].filename) if frames else None,
            line=frames[-1].lineno if frames else None,
        )


def _measure_the_rest(watch: Watch, conductor: Conductor) -> None:
    if watch.failure is not None or not watch.step:
        return
    try:
        watch.passes.step()
        conductor.finish()
        watch.flush()
    except Exception as bug:  # noqa: BLE001 - it is told in the report
        watch.fail(bug)
