from collections.abc import Callable

import numpy as np
import pytest

from dnndoctor.changes import InsertBefore, Rename
from dnndoctor.findings import Severity
from dnndoctor.measurements import Activation, Activations, Gradients, Layer, Layers, Optimizers, ParameterGradient
from dnndoctor.rule import State
from dnndoctor.rules.activation_functions.sigmoid_hidden import sigmoid_hidden
from tests.literals import a_parameter, an_optimizer, weights_of
from tests.rules.said import changes, only, options

Site = Callable[..., Activation]


def gradients(*rms: float) -> Gradients:
    steps = np.arange(6)
    each = [ParameterGradient(f"fc{at}.weight", steps, np.full(6, one), np.zeros(6)) for at, one in enumerate(rms)]
    return Gradients(tuple(each), steps, np.ones(6))


def layers(layer: Callable[..., Layer], count: int) -> Layers:
    hidden = [layer(f"fc{at}", activation="sigmoid") for at in range(count)]
    return Layers("Net", (*hidden, layer(f"fc{count}", output=True)))


def test_a_hidden_sigmoid_is_a_remark(site: Site) -> None:
    [found] = sigmoid_hidden.evaluate({Activations: Activations((site("sigmoid", mean=0.52),))}).findings
    assert found.severity is Severity.INFO
    assert "0.52" in found.message
    assert found.evidence[0].value == pytest.approx(0.52)


@pytest.mark.parametrize(
    ("count", "first", "severity"),
    [(3, 0.02, Severity.WARNING), (3, 0.11, Severity.INFO), (2, 0.02, Severity.INFO)],
)
def test_deep_and_starved_of_gradient_is_a_warning(
    site: Site, layer: Callable[..., Layer], count: int, first: float, severity: Severity
) -> None:
    sites = tuple(site("sigmoid", line=at, mean=0.5) for at in range(count))
    rms = [first] * count + [1.0]
    measured = {Activations: Activations(sites), Layers: layers(layer, count), Gradients: gradients(*rms)}
    found = sigmoid_hidden.evaluate(measured).findings
    assert len(found) == count
    assert {each.severity for each in found} == {severity}


def test_no_gradient_seen_stays_a_remark(site: Site, layer: Callable[..., Layer]) -> None:
    nothing = gradients(np.nan, np.nan, np.nan, np.nan)
    sites = tuple(site("sigmoid", line=at) for at in range(3))
    measured = {Activations: Activations(sites), Layers: layers(layer, 3), Gradients: nothing}
    assert sigmoid_hidden.evaluate(measured).findings[0].severity is Severity.INFO


@pytest.mark.parametrize(("function", "role"), [("tanh", "hidden"), ("sigmoid", "gate"), ("sigmoid", "output")])
def test_gates_outputs_and_others_are_not_applicable(site: Site, function: str, role: str) -> None:
    result = sigmoid_hidden.evaluate({Activations: Activations((site(function, role=role),))})
    assert result.state is State.NOT_APPLICABLE


def test_one_finding_per_line(site: Site) -> None:
    same = (site("sigmoid", layer="a", mean=0.5), site("sigmoid", layer="b", mean=0.6))
    [found] = sigmoid_hidden.evaluate({Activations: Activations(same)}).findings
    assert found.subject == "b"


def test_the_sigmoid_is_exchanged_where_it_makes_hidden_units_only(site: Site) -> None:
    hidden, output = site("sigmoid", mean=0.52), site("sigmoid", role="output")
    call, layer = options(only(sigmoid_hidden.evaluate({Activations: Activations((hidden,))})))
    assert call == (Rename("relu", at=hidden.location, of=("sigmoid",)),)
    assert layer == (Rename("ReLU", at=hidden.location, of=("Sigmoid",)),)
    assert changes(sigmoid_hidden.evaluate({Activations: Activations((hidden, output))})) == ()


@pytest.mark.parametrize(("count", "lines"), [(4, 0), (5, 5)])
def test_a_deep_stack_gets_the_initialization_of_its_new_function(
    site: Site, layer: Callable[..., Layer], count: int, lines: int
) -> None:
    """Behind five ReLU layers in the default initialization half a percent of the signal is left."""
    sites = tuple(site("sigmoid", layer=f"fc{at}", mean=0.5) for at in range(count))
    drawn = weights_of(*(a_parameter(f"fc{at}.weight") for at in range(count + 1)))
    measured = {Activations: Activations(sites), Layers: layers(layer, count), type(drawn): drawn}
    _, *further = changes(sigmoid_hidden.evaluate({**measured, Optimizers: an_optimizer()}))
    calls = [f'torch.nn.init.kaiming_normal_(model.fc{at}.weight, nonlinearity="relu")' for at in range(lines)]
    assert further == ([InsertBefore("\n".join(calls), at=an_optimizer().main.location)] if lines else [])
