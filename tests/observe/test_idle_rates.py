"""Rates that the source changes where nothing reads them."""

from __future__ import annotations

import ast
import textwrap

import pytest

from dnndoctor.observe.idle_rates import idle_rates, wrong_keys

IDLE = {
    "a variable in the loop": """
        lr = 0.1
        optimizer = SGD(model.parameters(), lr=lr)
        for epoch in range(10):
            train()
            lr = lr * 0.9
    """,
    "in a function, and shown": """
        def main():
            learning_rate = 0.1
            optimizer = SGD(model.parameters(), lr=learning_rate)
            for epoch in range(10):
                train()
                if epoch == 5 and learning_rate > 1e-4:
                    learning_rate *= 0.1
                print(f"epoch {epoch} rate {learning_rate}")
                rates.append(learning_rate)
    """,
    "worked out from another": """
        for epoch in range(10):
            lr = base_lr * 0.5 ** (epoch // 3)
            train()
    """,
}
READ = {
    "written into the groups": """
        for epoch in range(10):
            lr = lr * 0.9
            for group in optimizer.param_groups:
                group["lr"] = lr
    """,
    "used by hand": """
        for step in range(10):
            w = w - lr * w.grad
            lr = lr * 0.9
    """,
    "handed on": """
        for epoch in range(10):
            lr = 0.1 * 0.9 ** epoch
            set_rate(optimizer, lr)
    """,
    "a new optimizer each time": """
        for epoch in range(10):
            optimizer = SGD(model.parameters(), lr=lr)
            lr *= 0.5
    """,
    "returned": """
        def rate(epoch):
            for bound in bounds:
                lr = lr * 0.1
            return lr
    """,
    "looked up to be shown": """
        for epoch in range(10):
            current_lr = optimizer.param_groups[0]["lr"] * 1.0
            print(current_lr)
    """,
    "asked of the scheduler": """
        for epoch in range(10):
            lr = scheduler.get_last_lr()[0] + 0
            print(lr)
    """,
    "tried one after the other": """
        for trial in range(3):
            lr = 0.1
            train(trial)
    """,
    "read by a function": """
        lr = 0.1
        def update(p):
            p -= lr * p.grad
        for epoch in range(10):
            lr *= 0.9
    """,
}


def names(source: str) -> list[str]:
    return [name for name, _ in idle_rates("train.py", ast.parse(textwrap.dedent(source)))]


@pytest.mark.parametrize("source", IDLE.values(), ids=IDLE)
def test_changed_in_vain(source: str) -> None:
    assert len(names(source)) == 1


@pytest.mark.parametrize("source", READ.values(), ids=READ)
def test_read_by_something(source: str) -> None:
    assert names(source) == []


def test_the_change_is_the_place() -> None:
    [(name, place)] = idle_rates("train.py", ast.parse(textwrap.dedent(IDLE["a variable in the loop"])))
    assert (name, place.line) == ("lr", 6)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("optimizer.param_groups[0]['learning_rate'] = 0.1", True),
        ("optimizer.defaults['lr'] = 0.1", True),
        ("for g in optimizer.param_groups: g['LR'] = 0.1", True),
        ("optimizer.param_groups[0]['lr'] = 0.1", False),
        ("for g in optimizer.param_groups: g['lr'] = 0.1", False),
        ("config['learning_rate'] = 0.1", False),
        ("config.defaults['lr'] = 0.1", False),
    ],
)
def test_keys_that_no_step_reads(line: str, found: bool) -> None:
    assert bool(list(wrong_keys("train.py", ast.parse(line)))) is found
