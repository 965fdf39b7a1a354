"""Probes outside of the user's loop: the model, its recorded inputs and its data, with the loop standing still.

They run one after the other, the most telling first, each in a share of the time that is left; one for which there is
no time says so. Buffers, random streams, modes and gradients are put back after each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from dnndoctor.observe.watch import Watch
from dnndoctor.probe_names import OTHERS_WANTED
from dnndoctor.probes import (
    batch_size,
    custom_gradients,
    data_scan,
    entry_mixing,
    order,
    overfitting,
    padding,
    precision,
    regularization,
    schedule,
    warm_start,
    width,
    workers,
)
from dnndoctor.probes.clock import Clock
from dnndoctor.probes.room import Room, Unable
from dnndoctor.probes.snapshot import of_everything

FEWEST_SECONDS = 1.0  # with less left nothing is begun


@dataclass(frozen=True, slots=True)
class Outside:
    """One probe; ``measure`` writes what it found under ``name``, and raises Unable with the
    reason where it cannot; or anything, for what the model cannot do.

    ``share``: of the time left that it may take, ``most`` seconds at most. ``without_probes``: it only reads, and
    also runs where probes are switched off. ``when_over``: only once the script is over, when it is known which
    loaders trained and which evaluated. ``on_request``: only where it is asked for by name.
    """

    name: str
    measure: Callable[[Watch, Room], None]
    share: float = 0.1
    most: float = 10.0
    without_probes: bool = False
    when_over: bool = False
    on_request: bool = False


PROBES = (
    Outside("sample-order", order.scan, without_probes=True),
    Outside("data-scan", data_scan.measure, share=0.25, most=6.0, without_probes=True, when_over=True),
    Outside("schedule", schedule.measure, most=3.0, without_probes=True),
    Outside("custom-gradients", custom_gradients.measure),
    Outside("entry-mixing", entry_mixing.measure),
    Outside("batch-size", batch_size.measure, share=0.3, most=30.0),
    Outside("workers", workers.measure, most=8.0),
    Outside("mixed-precision", precision.measure_mixed, most=5.0),
    Outside("padded-dimensions", padding.measure, most=5.0),
    Outside("overfitting", overfitting.measure, share=0.15, most=4.0),
    Outside("regularization", regularization.measure, share=0.2, most=4.0),
    Outside("width", width.measure, share=0.2, most=4.0),
    Outside("pretraining", warm_start.measure, share=0.2, most=4.0),
    Outside("compile", precision.measure_compiled, share=0.8, most=60.0, on_request=True),
    Outside("regularization", regularization.measure, share=0.3, most=12.0),
    Outside("width", width.measure, share=0.3, most=8.0),
    Outside("pretraining", warm_start.measure, share=0.3, most=8.0),
)


def run(
    watch: Watch,
    clock: Clock,
    step_seconds: float,
    *,
    probes: bool,
    only: Collection[str] = (),
    forbidden: str | None = None,
    over: bool = False,
) -> None:
    """Run those that have not run yet.

    ``only``: these alone, if any are named. ``forbidden``: why nothing but reading is possible.
    ``over``: the script has ended.
    """
    for each in PROBES:
        if each.name in clock.phases or (each.when_over and not over) or not (probes or each.without_probes):
            continue
        clock.enter(each.name)
        reason = OTHERS_WANTED if only and each.name not in only else forbidden
        if each.on_request and each.name not in only:
            reason = f"it is tried where --only-probe {each.name} asks for it"
        if reason is not None and not each.without_probes:
            refuse(watch, each.name, reason)
        else:
            _run_one(each, watch, clock, step_seconds)
    watch.writer.commit()


def _run_one(probe: Outside, watch: Watch, clock: Clock, step_seconds: float) -> None:
    if clock.left < FEWEST_SECONDS:
        return refuse(watch, probe.name, "the time was up")
    keep, observing = of_everything(watch, [], take=True, buffers_only=True), watch.observing
    watch.observing = False
    inside, watch.inside_backward = watch.inside_backward, True  # a probe's own backward is none of the loop's
    watch.look(active=False)
    try:
        probe.measure(watch, Room(min(clock.left * probe.share, probe.most), step_seconds))
    except Unable as why:
        refuse(watch, probe.name, str(why))
    except Exception as why:  # noqa: BLE001 - mostly the model's or dataset's own refusal; it is told as the reason
        refuse(watch, probe.name, f"it failed with {type(why).__name__}: {(str(why).splitlines() or [''])[0][:150]}")
    finally:
        keep.restore()
        watch.observing, watch.inside_backward = observing, inside


def refuse(watch: Watch, name: str, reason: str) -> None:
    """Record why a probe found nothing; the reason completes "not examined: ..."."""
    watch.writer.put("probe", {"name": name, "facts": {"missing": reason}})
