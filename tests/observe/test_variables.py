"""What the user's code calls a module."""

from __future__ import annotations

import torch
from torch import nn

from dnndoctor.observe.variables import class_name, names_of, unwrapped


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x)  # type: ignore[no-any-return]


class Trainer:
    def __init__(self) -> None:
        self.network = Net()

    def names(self) -> dict[int, str]:
        return names_of([self.network])


def test_variables_items_and_attributes() -> None:
    net, parts, trainer = Net(), {"left": Net(), 3: Net()}, Trainer()
    found = names_of([net, parts["left"], parts[3], trainer.network])
    assert found[id(net)] == "net"
    assert found[id(parts["left"])] == "parts['left']"
    assert found[id(parts[3])] == "parts[3]"
    assert found[id(trainer.network)] == "trainer.network"
    assert trainer.names()[id(trainer.network)] in ("network", "trainer.network")


def test_a_loop_s_variable_gives_way_to_the_list() -> None:
    nets = [Net(), Net()]
    for net in nets:
        assert net is nets[0]
        assert names_of(nets) == {id(nets[0]): "nets[0]", id(nets[1]): "nets[1]"}
        break


def test_names_of_their_own_stay_though_a_list_holds_them_too() -> None:
    generator, critic = Net(), Net()
    both = [generator, critic]
    assert names_of(both) == {id(generator): "generator", id(critic): "critic"}


def test_wrappers_are_taken_off_and_the_user_s_own_are_not() -> None:
    inner = Net()
    assert unwrapped(nn.DataParallel(inner)) is inner
    assert unwrapped(torch.compile(nn.DataParallel(inner))) is inner  # type: ignore[arg-type]
    holder = nn.Sequential(inner)
    assert unwrapped(holder) is holder
    assert class_name(inner) == "Net"
    assert class_name(torch.jit.script(inner)) == "Net"
