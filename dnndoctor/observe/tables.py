"""The tables of a recording that are rewritten as a whole: who is there, and what was counted until now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dnndoctor.observe import device
from dnndoctor.observe.arguments import argument, learning_rate, peak_rate
from dnndoctor.observe.inventory import parameter_rows
from dnndoctor.observe.source import digests

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.loaders import LoaderFacts
    from dnndoctor.observe.passes import PassGroup
    from dnndoctor.observe.steps import OptimizerFacts
    from dnndoctor.observe.watch import Watch


def write(watch: Watch) -> None:
    """Write them and commit."""
    writer = watch.writer
    writer.put_all("parameter", parameter_rows(watch))
    writer.put_all("module", _module_rows(watch))
    writer.put_all("optimizer", [_optimizer_row(each) for each in watch.optimizers])
    writer.put_all("loader", [_loader_row(each) for each in watch.loaders.all])
    writer.put_all(
        "dataset", [{"id": i, "facts": f.facts(), "location": f.location} for i, f in enumerate(watch.fed.values())]
    )
    writer.put_all("pass", [_pass_row(i, g) for i, g in enumerate(watch.passes.groups.values())])
    writer.put_all("window", watch.windows.rows())
    writer.put_all("clearing", [_clearing_row(watch, each) for each in watch.optimizers])
    writer.run(
        steps=watch.step,
        pretrained=watch.pretrained,
        clipped=watch.clipped,
        scaled=bool(watch.scalers),
        mode_layers=watch.passes.mode_layers,
        masked=watch.root_finite,
        backward_roots=sorted(watch.backward_roots),
        backward_location=watch.backward_location,
        operations_complete=watch.forward.complete,
        device=_device(watch),
        peak_bytes=device.peak_resident_bytes(),
        signs=watch.signs.facts(),
        loop=watch.found.facts(watch),
        broken=watch.windows.broken,
        sources=digests() if watch.step else {},
    )
    writer.commit()


def _module_rows(watch: Watch) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "path": watch.modules.path(top),
            "class": type(top).__name__,
            "parameters": sum(p.numel() for p in top.parameters()),
            "location": watch.modules.location(top),
        }
        for number, top in enumerate(watch.modules.tops)
    ]


def _device(watch: Watch) -> str:
    for each in watch.optimizers:
        for parameter in each.parameters():
            return str(parameter.device.type)
    return "cpu"


def _clearing_row(watch: Watch, facts: OptimizerFacts) -> dict[str, Any]:
    return {
        "id": facts.index,
        "location": facts.location,
        "facts": {
            "optimizer": facts.name,
            "intervals": facts.intervals,
            "uncleared": facts.uncleared,
            "empty": facts.empty,
            "backwards": round(facts.backwards_total / max(facts.steps, 1)),
            "step_location": facts.step_location,
            "variable": facts.variable,
            "backward_location": watch.backward_location,
            "zero_location": watch.zero_location,
            "callers": watch.backward_callers,
        },
    }


def _optimizer_row(facts: OptimizerFacts) -> dict[str, Any]:
    return {
        "id": facts.index,
        "name": facts.name,
        "steps": facts.steps,
        "location": facts.location,
        "facts": {
            "rates": facts.rates,
            "settings": facts.settings,
            "peak_rate": facts.peak_rate,
            "warming_up": facts.last_rate > facts.first_rate * 1.01,
            "rate_location": _rate_location(facts),
            "scheduler": facts.scheduler,
            "closure": facts.evaluations > 1,
            "parameters": len(facts.held),
        },
    }


def _rate_location(facts: OptimizerFacts) -> Location | None:
    peak = facts.settings.get("max_lr")  # a one-cycle or cyclic schedule's, which overrules the optimizer's own rate
    place = peak_rate(facts.location, peak) if peak is not None else None
    return place or learning_rate(facts.location, facts.name, _base_rates(facts))


def _base_rates(facts: OptimizerFacts) -> list[float]:
    """What may stand in the source: the rate as it was met, at its peak, or before a scheduler took over."""
    return [*facts.rates, facts.peak_rate, facts.settings.get("initial_lr", facts.peak_rate)]


def _loader_row(facts: LoaderFacts) -> dict[str, Any]:
    shuffle = argument(facts.location, "shuffle")
    return {"id": facts.index, "facts": {**facts.facts(), "shuffle_location": shuffle}, "location": facts.location}


def _pass_row(index: int, group: PassGroup) -> dict[str, Any]:
    facts = {key: getattr(group, key) for key in ("model", "gradients", "loader", "trained", "trainable", "training")}
    facts |= {key: list(getattr(group, key)) for key in ("active", "inactive", "inactive_trained")}
    facts |= {"passes": group.count, "longest_run": group.longest_run}
    return {"id": index, "location": group.location, "facts": facts}
