from __future__ import annotations

from typing import Any

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Loading, LoadingPoint, Threads
from dnndoctor.rule import Result, State
from dnndoctor.rules.hardware.threads_oversubscribed import threads_oversubscribed

LINE = Location("train.py", 12)


def judge(threads: Threads, loading: Loading | None = None, **thresholds: Any) -> Result:
    measured: dict[type, Any] = {Threads: threads} | ({Loading: loading} if loading else {})
    return threads_oversubscribed.evaluate(measured, thresholds)


def loading(workers: int, own: float, fewer: float) -> Loading:
    return Loading(workers, 4, 0.1, 0.1, 100, LINE, (LoadingPoint(4, 0, fewer, 9), LoadingPoint(workers, 0, own, 9)))


def test_too_many_threads() -> None:
    [found] = judge(Threads(16, 4, 0.3, 0.1, LINE)).findings
    assert found.severity is Severity.WARNING
    assert found.location == LINE
    assert "16 threads share 4 cores, which is 3.0 times as slow" in found.message


def test_too_many_workers_are_found_at_the_loader() -> None:
    [found] = judge(Threads(1, 4), loading(32, 0.05, 0.02)).findings
    assert found.location == LINE
    assert "32 workers share 4 cores" in found.message


def test_threads_that_the_environment_set_have_no_line() -> None:
    [found] = judge(Threads(16, 4, 0.3, 0.1)).findings
    assert found.location is None
    assert found.fix is not None
    assert not found.fix.changes


def test_at_the_threshold() -> None:
    assert judge(Threads(16, 4, 0.119, 0.1)).state is State.PASS
    assert judge(Threads(16, 4, 0.121, 0.1)).state is State.FINDING
    assert judge(Threads(1, 4), loading(32, 0.0238, 0.02)).state is State.PASS


def test_cores_enough() -> None:
    assert judge(Threads(4, 4)).state is State.NOT_APPLICABLE


def test_what_could_not_be_timed_is_said() -> None:
    assert judge(Threads(16, 4)).state is State.NOT_EXAMINED


def test_workers_that_fit_the_cores_pass_beside_threads_that_fit() -> None:
    slow = Loading(4, 4, 0.1, 0.1, 100, LINE, (LoadingPoint(2, 0, 0.02, 9), LoadingPoint(4, 0, 0.2, 9)))
    assert judge(Threads(16, 4, 0.1, 0.1), slow).state is State.PASS


def test_other_numbers_beyond_the_cores_are_no_measure() -> None:
    points = (LoadingPoint(16, 0, 0.001, 9), LoadingPoint(32, 0, 0.05, 9))
    assert judge(Threads(1, 4), Loading(32, 4, 0.1, 0.1, 100, LINE, points)).state is State.PASS
