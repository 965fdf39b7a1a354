from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Layer, Layers, PaddedLayer, Padding, Run, Timed
from dnndoctor.rule import Result, State
from dnndoctor.rules.power_of_two_dimensions.odd_dimensions import odd_dimensions

GPU, CPU = Run("cuda", "NVIDIA H100", 50), Run("cpu", None, 50)


def judge(*measured: Any, **thresholds: Any) -> Result:
    return odd_dimensions.evaluate({type(each): each for each in measured}, thresholds)


def layers(width: int, inputs: int = 784, outputs: int = 10, share: float = 0.5, kind: str = "linear") -> Layers:
    sizes = ((inputs, width), (width, width), (width, outputs))
    made = [
        Layer(f"fc{i}", kind, f"fc{i}.weight", Location("train.py", 5 + i), a, b, a, b, flops_share=share)
        for i, (a, b) in enumerate(sizes)
    ]
    first, middle, last = made
    return Layers("Net", (replace(first, first=True), middle, replace(last, output=True)))


def test_odd_widths_are_found_once() -> None:
    [found] = judge(layers(500, share=0.3), GPU).findings
    assert found.severity is Severity.INFO
    assert found.location == Location("train.py", 5)
    assert "90% of the arithmetic is in layers with sizes that are no multiple of 8: 500" in found.message
    assert found.fix is not None
    assert "504 for 500" in str(found.fix.code)


def test_even_widths_pass() -> None:
    assert judge(layers(512), GPU).state is State.PASS


def test_sizes_that_the_data_dictate_pass() -> None:
    assert judge(layers(512, inputs=785, outputs=101), GPU).state is State.PASS


def test_a_vocabulary_counts() -> None:
    [found] = judge(layers(512, outputs=50257), GPU).findings
    assert "50257" in found.message
    assert found.location == Location("train.py", 7)


def test_small_sizes_at_the_threshold() -> None:
    assert judge(layers(63), GPU).state is State.PASS
    assert judge(layers(65), GPU).state is State.FINDING


def test_layers_without_arithmetic_at_the_threshold() -> None:
    assert judge(layers(500, share=0.05), GPU).state is State.PASS
    assert judge(layers(500, share=0.06), GPU).state is State.FINDING


def test_norm_layers_are_not_judged() -> None:
    assert judge(layers(500, kind="norm"), GPU).state is State.PASS


def test_a_cpu_is_not_judged() -> None:
    assert judge(layers(500), CPU).state is State.NOT_APPLICABLE


def padding(own: tuple[float, ...], padded: tuple[float, ...], step: float = 0.010) -> Padding:
    layer = PaddedLayer("fc0", 0.5, Timed(784, 500, own), (Timed(784, 504, padded), Timed(784, 512, padded)))
    return Padding((layer,), step)


SLOW, FAST = (0.0050, 0.0051, 0.0052), (0.0030, 0.0031, 0.0032)


def test_a_measured_gain_is_a_warning_and_on_a_cpu_a_remark() -> None:
    for run, severity in ((GPU, Severity.WARNING), (CPU, Severity.INFO)):
        [found] = judge(layers(500), run, padding(SLOW, FAST)).findings
        assert found.severity is severity
        assert "a step would be 1.2 times as fast on this" in found.message


def test_a_gain_within_the_spread_is_none() -> None:
    noisy = padding((0.0050, 0.0031, 0.0052), FAST)
    assert noisy.step_gain == 1.0
    assert judge(layers(500), CPU, noisy).state is State.NOT_APPLICABLE
    [found] = judge(layers(500), GPU, noisy).findings
    assert found.severity is Severity.INFO


@pytest.mark.parametrize(("step", "expected"), [(0.021, State.FINDING), (0.023, State.NOT_APPLICABLE)])
def test_it_is_the_whole_step_that_has_to_gain(step: float, expected: State) -> None:
    assert judge(layers(500), CPU, padding(SLOW, FAST, step)).state is expected


def test_even_sizes_are_sound_whatever_was_timed() -> None:
    assert judge(layers(512), CPU, padding(SLOW, FAST)).state is State.PASS
