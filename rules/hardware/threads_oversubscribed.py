from collections.abc import Iterator

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Loading, Threads
from dnndoctor.rule import rule


@rule("HWR104", Severity.WARNING, practice="hardware")
def threads_oversubscribed(threads: Threads, loading: Loading | None, *, cost: float = 1.2) -> Iterator[Finding]:
    """More threads or workers are started than there are cores, and it costs time.

    What it measures
        Torch's threads and the loader's workers against the cores that the process may run on; where there are more,
        forward and backward with one thread for each core and with one alone, and the loader with fewer workers.

    Why it matters
        Threads that take turns on one core wait for each other, and lose what lies in its cache.

    How to fix it
        Take one thread for each core, and no more workers than cores.

    When to ignore it
        The machine is another one than training will run on.

    References
        PyTorch documentation, Performance Tuning Guide, "CPU specific optimizations": one thread for each core.
        cost: 1.2, this project's choice: times as slow; repeats of one setting differ by less.
    """
    workers = loading.workers if loading is not None else 0
    if threads.threads <= threads.cpus and workers <= threads.cpus:
        raise NotApplicable(f"{threads.threads} threads and {workers} workers on {threads.cpus} cores")
    if threads.pass_seconds is not None and threads.pass_seconds_at_cpus is not None:
        slower = threads.pass_seconds / max(threads.pass_seconds_at_cpus, 1e-12)
        if slower >= cost:
            yield _finding(threads, slower)
    elif threads.threads > threads.cpus:
        raise NotExamined("forward and backward could not be timed with fewer threads")
    if loading is None or workers <= threads.cpus:
        return
    own = next((each.batch_seconds for each in loading.points if each.workers == workers), None)
    fewer = min((each.batch_seconds for each in loading.points if each.workers <= threads.cpus), default=None)
    if own is not None and fewer and own >= cost * fewer:
        yield _finding(threads, own / fewer, loading)


def _finding(threads: Threads, slower: float, loading: Loading | None = None) -> Finding:
    cpus = threads.cpus
    if loading is not None:
        what, number, at, code = "workers", loading.workers, loading.location, f"num_workers={cpus}"
        change = SetArgument("num_workers", str(cpus), position=5, of=("DataLoader",))
    else:
        what, number, at, code = "threads", threads.threads, threads.location, f"torch.set_num_threads({cpus})"
        change = SetArgument("int", str(cpus), position=0, of=("set_num_threads",))
    return Finding(
        f"{number} {what} share {cpus} cores, which is {slower:.1f} times as slow as {cpus} of them at most",
        location=at,
        evidence=(Evidence(what, number, cpus), Evidence("time", slower, 1.0)),
        fix=Fix(
            f"take no more {what} than cores",
            f"{slower:.1f} times as fast, measured.",
            code,
            (change,) if at is not None else (),
            verified=True,
        ),
    )
