"""Layers in plain containers, and layers that a forward pass builds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from dnndoctor.measurements import Construction
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import examine

if TYPE_CHECKING:
    from collections.abc import Callable


def fit(build: Callable[[], nn.Module], more: Callable[[nn.Module], list[torch.Tensor]] = lambda _: []) -> None:
    torch.manual_seed(0)
    model = build()
    optimizer = torch.optim.SGD([*model.parameters(), *more(model)], lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()


def construction(path: Path, loop: Callable[[], None]) -> Construction:
    found: Construction = assemble(examine(path, loop).rows)[Construction]
    return found


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.layers: list[nn.Module] = []
        for _ in range(2):
            self.layers.append(nn.Linear(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inner(x)
        for layer in self.layers:
            x = layer(x)
        return x


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.heads = {"one": [nn.Linear(4, 4)], "size": 4}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.heads["one"]
        assert isinstance(heads, list)
        return heads[0](self.inner(x))  # type: ignore[no-any-return]


class Hidden(Listed):
    """Hides a frozen network from ``parameters``."""

    def __init__(self) -> None:
        super().__init__()
        for layer in self.layers:
            layer.requires_grad_(False)


def test_layers_in_a_list_are_found_at_the_line_of_the_list(tmp_path: Path) -> None:
    [found] = construction(tmp_path, lambda: fit(Listed)).unregistered
    lines = Path(__file__).read_text().splitlines()
    assert found.location is not None
    assert lines[found.location.line - 1].strip().startswith("self.layers: list")
    assert (found.holder, found.attribute, found.container) == ("Listed", "layers", "list")
    assert len(found.layers) == 2
    assert len(found.left_out) == 4


def test_layers_in_a_list_in_a_dict(tmp_path: Path) -> None:
    [found] = construction(tmp_path, lambda: fit(Nested)).unregistered
    assert (found.attribute, found.container) == ("heads", "dict")
    assert len(found.left_out) == 2


def test_what_the_optimizer_was_given_all_the_same_is_not_left_out(tmp_path: Path) -> None:
    def given(model: nn.Module) -> list[torch.Tensor]:
        assert isinstance(model, Listed)
        return [p for layer in model.layers for p in layer.parameters()]

    [found] = construction(tmp_path, lambda: fit(Listed, given)).unregistered
    assert len(found.learning) == 4
    assert not found.left_out


def test_a_frozen_network_is_hidden_on_purpose(tmp_path: Path) -> None:
    assert not construction(tmp_path, lambda: fit(Hidden)).unregistered


class Registered(Listed):
    def __init__(self) -> None:
        super().__init__()
        self.kept = nn.ModuleList(self.layers)


def test_a_list_of_registered_layers_is_sound(tmp_path: Path) -> None:
    assert not construction(tmp_path, lambda: fit(Registered)).unregistered


class Fresh(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        new = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        plain = nn.Tanh()
        return plain(new(self.inner(x)))  # type: ignore[no-any-return]


class Once(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.late: nn.Module | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.late is None:
            self.late = nn.Linear(4, 4)
        return self.late(self.inner(x))  # type: ignore[no-any-return]


def test_a_layer_that_each_pass_builds_is_one_line(tmp_path: Path) -> None:
    [found] = construction(tmp_path, lambda: fit(Fresh)).built_in_forward
    lines = Path(__file__).read_text().splitlines()
    assert found.location is not None
    assert "new = nn.Sequential" in lines[found.location.line - 1]
    assert (found.steps, found.times, found.parameters, found.kinds) == (4, 4, 20, ("Linear",))


def test_a_layer_that_is_built_at_the_first_pass_counts_once(tmp_path: Path) -> None:
    [found] = construction(tmp_path, lambda: fit(Once)).built_in_forward
    assert (found.steps, found.times) == (1, 1)


def test_lazy_layers_are_not_built_in_a_pass(tmp_path: Path) -> None:
    def lazy() -> nn.Module:
        model = nn.Sequential(nn.LazyLinear(4), nn.LazyLinear(4))
        model(torch.randn(2, 4))
        return model

    assert not construction(tmp_path, lambda: fit(lazy)).built_in_forward


class Plain(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.w = torch.ones(4, requires_grad=kind != "constant")
        self.more = [nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))]
        if kind == "registered":
            self.w = nn.Parameter(self.w.detach())
            self.kept = nn.ParameterList(self.more)
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inner(x) * self.w
        return x if self.kind == "constant" else x * self.more[0] * self.more[1]


def test_trainable_tensors_in_plain_attributes(tmp_path: Path) -> None:
    one, more = construction(tmp_path, lambda: fit(lambda: Plain("plain"))).loose
    assert (one.holder, one.attribute, one.container, one.count) == ("Plain", "w", "", 1)
    assert (more.attribute, more.container, more.count) == ("more", "list", 2)
    assert one.location is not None
    assert "self.w = torch.ones" in Path(__file__).read_text().splitlines()[one.location.line - 1]


def test_tensors_that_are_constant_registered_or_given_to_the_optimizer_all_the_same(tmp_path: Path) -> None:
    def given(model: nn.Module) -> list[torch.Tensor]:
        assert isinstance(model, Plain)
        return [model.w, *model.more]

    assert not construction(tmp_path, lambda: fit(lambda: Plain("constant"))).loose
    assert not construction(tmp_path, lambda: fit(lambda: Plain("registered"))).loose
    assert not construction(tmp_path, lambda: fit(lambda: Plain("plain"), given)).loose


def test_a_tensor_that_the_script_moves_itself(tmp_path: Path) -> None:
    def loop() -> None:
        torch.manual_seed(0)
        model = Plain("constant")
        model.w.requires_grad_()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                assert model.w.grad is not None
                model.w -= 0.1 * model.w.grad.sign()

    assert not construction(tmp_path, loop).loose
