from collections.abc import Iterator

import numpy as np

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Loading
from dnndoctor.rule import rule


@rule("HWR102", Severity.WARNING, practice="hardware")
def input_bound(
    loading: Loading,
    *,
    noted: float = 0.05,
    harmful: float = 0.15,
    gain: float = 1.1,
    large_gain: float = 1.3,
    seconds: float = 0.005,
    least: float = 0.002,
    saved: float = 1.0,
) -> Iterator[Finding]:
    """Training waits for data, and more workers would bring them faster.

    What it measures
        The share of a step that is spent waiting for the loader, and how fast the same loader alone gives batches with
        other numbers of workers, as far as the process may use cores. An epoch is counted with the workers' start.

    Why it matters
        While the loop waits nothing is computed. Workers load the next batches meanwhile.

    How to fix it
        Take the number of workers that was measured to be best.

    When to ignore it
        Loading from a network drive or a database that a second reader would slow down. Data in memory, for which
        workers only cost, come out as no gain.

    References
        PyTorch documentation, torch.utils.data, "Multi-process data loading".
        noted: 0.05, this project's choice: share of a step; below it the loader is not even tried.
        harmful: 0.15, this project's choice: share of a step from which on it is a warning.
        gain: 1.1, this project's choice: an epoch as many times as fast, to be worth a word.
        large_gain: 1.3, this project's choice: from which on it is a warning; a busy machine's repeats differ by less.
        seconds: 0.005, this project's choice: wait per step, also of the loader alone; below it no warning.
        saved: 1.0, this project's choice: seconds of each epoch, from which on it is a warning.
        least: 0.002, this project's choice: below it a small data set in memory is being read, and nothing is said.
    """
    share = loading.wait_share
    alone = next((each.batch_seconds for each in loading.points if each.workers == loading.workers), np.inf)
    wait = min(loading.wait_seconds, alone)  # a machine busy with other things makes the loop's wait long
    if share < noted or (loading.points and wait < least):
        return
    if not loading.points:
        if loading.cpus < 2:
            raise NotApplicable("this process may run on one core only")
        raise NotExamined(loading.untried or "no other number of workers was tried")
    batches = loading.batches or 1
    now = batches * (loading.wait_seconds + loading.compute_seconds)
    epochs = {
        each.workers: each.start_seconds + batches * max(each.batch_seconds, loading.compute_seconds)
        for each in loading.points
        if each.batches >= 2 and each.workers != loading.workers
    }
    best = min(epochs, key=epochs.__getitem__, default=None)
    if best is None or now < gain * epochs[best]:
        return
    faster = now / epochs[best]
    grave = share >= harmful and wait >= seconds and faster >= large_gain and now - epochs[best] >= saved
    yield Finding(
        f"{share:.0%} of each step is spent waiting for data; with {best} worker{'s' if best > 1 else ''} instead of "
        f"{loading.workers} an epoch is {faster:.1f} times as fast",
        location=loading.location,
        evidence=(Evidence("share of waiting", share, noted), Evidence("workers", loading.workers, best)),
        fix=Fix(
            f"load with {best} worker{'s' if best > 1 else ''}",
            f"An epoch then takes {epochs[best]:.3g} s instead of {now:.3g} s.",
            f"DataLoader(..., num_workers={best}, persistent_workers=True)",
            (
                SetArgument("num_workers", str(best), position=5, of=("DataLoader",)),
                *((SetArgument("persistent_workers", "True", of=("DataLoader",)),) if best else ()),
            )
            if loading.batches is not None  # of a stream each worker would give all of it
            else (),
            verified=True,
        ),
        severity=Severity.WARNING if grave else Severity.INFO,
    )
