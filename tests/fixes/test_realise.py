"""Each kind of change on source as people write it."""

from __future__ import annotations

import pytest

from dnndoctor.changes import (
    Change,
    Enclose,
    FirstOf,
    InsertAfter,
    InsertBefore,
    InsertItem,
    Loop,
    MoveBehind,
    MoveStatement,
    RemoveArgument,
    Rename,
    Rewrite,
    SetArgument,
    Unwrap,
)
from dnndoctor.fixes.source import Refused
from tests.fixes.mended import at, mended, text

CASES: dict[str, tuple[str, str, Change, str]] = {
    "an argument by name": (
        "o = SGD(p, lr=0.5, momentum=0.9)  # fast\n",
        "SGD",
        SetArgument("lr", "0.05", position=1),
        "o = SGD(p, lr=0.05, momentum=0.9)  # fast\n",
    ),
    "an argument by its place": (
        "o = SGD(p, 0.5)\n",
        "SGD",
        SetArgument("lr", "0.05", position=1),
        "o = SGD(p, 0.05)\n",
    ),
    "an argument that lacks": (
        "d = DataLoader(\n    data,\n    batch_size=8,\n)\n",
        "DataLoader",
        SetArgument("shuffle", "True", position=2),
        "d = DataLoader(\n    data,\n    batch_size=8,\n    shuffle=True,\n)\n",
    ),
    "a value that stands in a name": (
        "lr = 0.5\nmomentum = 0.9\no = SGD(p, lr=lr, momentum=momentum)\n",
        "SGD",
        SetArgument("lr", "0.05", position=1),
        "lr = 0.05\nmomentum = 0.9\no = SGD(p, lr=lr, momentum=momentum)\n",
    ),
    "the default of a parser": (
        'a.add_argument("--lr", type=float, default=0.5)\nargs = a.parse_args()\no = SGD(p, lr=args.lr)\n',
        "SGD",
        SetArgument("lr", "0.05", position=1),
        'a.add_argument("--lr", type=float, default=0.05)\nargs = a.parse_args()\no = SGD(p, lr=args.lr)\n',
    ),
    "an argument taken out": (
        "l = nn.CrossEntropyLoss(ignore_index=0, reduction='sum')\n",
        "nn.Cross",
        RemoveArgument("ignore_index"),
        "l = nn.CrossEntropyLoss(reduction='sum')\n",
    ),
    "a function around its argument": (
        "l = F.cross_entropy(F.softmax(out, dim=1), y)\n",
        "F.softmax",
        Unwrap(of=("softmax",)),
        "l = F.cross_entropy(out, y)\n",
    ),
    "a method of a tensor": (
        "return out.softmax(1)\n".replace("return ", "z = "),
        "out.softmax",
        Unwrap(of=("softmax",), method=True),
        "z = out\n",
    ),
    "a minus": ("loss = -F.mse_loss(a, b)\n", "-F", Unwrap(of=("neg",)), "loss = F.mse_loss(a, b)\n"),
    "a layer in a list of layers": (
        "m = nn.Sequential(\n    nn.Linear(4, 3),\n    nn.Softmax(dim=1),\n)\n",
        "nn.Softmax",
        Unwrap(of=("Softmax",)),
        "m = nn.Sequential(\n    nn.Linear(4, 3),\n)\n",
    ),
    "another name": (
        "import torch.optim as optim\no = optim.Adam(p, lr=1)\n",
        "optim.Adam",
        Rename("AdamW", of=("Adam",)),
        "import torch.optim as optim\no = optim.AdamW(p, lr=1)\n",
    ),
    "an argument rewritten": (
        "l = F.mse_loss(out, y)\n",
        "F.mse",
        Rewrite("{it}.squeeze(1)", argument=0),
        "l = F.mse_loss(out.squeeze(1), y)\n",
    ),
    "a sum whose side is rewritten": (
        "total = total + loss * 2\n",
        "total + loss",
        Rewrite("{it}.detach()", argument=1, of=("+",)),
        "total = total + (loss * 2).detach()\n",
    ),
    "an item behind another": (
        "import torch\nm = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 3))\n",
        "torch.nn.Linear(4, 4)",
        InsertItem("torch.nn.ReLU()", after=True),
        "import torch\nm = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))\n",
    ),
    "a statement before, indented with tabs": (
        "o = 1\nfor x in y:\n\tloss = f(x)\n\tloss.backward()\n",
        "loss.backward",
        InsertBefore("o.zero_grad()"),
        "o = 1\nfor x in y:\n\tloss = f(x)\n\to.zero_grad()\n\tloss.backward()\n",
    ),
    "a statement behind a loop": (
        "s = 1\nfor e in r:\n    for x in y:\n        o.step()\n    print(e)\n",
        "o.step",
        InsertAfter("s.step()", loop=Loop()),
        "s = 1\nfor e in r:\n    for x in y:\n        o.step()\n    s.step()\n    print(e)\n",
    ),
    "a statement enclosed": (
        "import torch\nfor x in y:\n    out = model(x)\n    n += out\n",
        "model(x)",
        Enclose("with torch.no_grad():", loop=Loop()),
        "import torch\nwith torch.no_grad():\n    for x in y:\n        out = model(x)\n        n += out\n",
    ),
    "a definition behind what it needs": (
        "o = SGD(model.parameters())\nmodel = model.to(d)\nrun(o)\n",
        "SGD",
        MoveBehind("model"),
        "model = model.to(d)\no = SGD(model.parameters())\nrun(o)\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_made_and_nothing_else(name: str) -> None:
    source, words, change, wanted = CASES[name]
    assert mended(source, [change], at(source, words)) == wanted


def test_a_call_is_moved_out_of_its_loop() -> None:
    source = text(
        """
        for epoch in range(3):
            for x, y in loader:
                optimizer.step()
                scheduler.step()  # per batch
        """
    )
    place = at(source, "scheduler.step")
    made = mended(source, [MoveStatement(place, after=True, loop=Loop(), at=place)], place)
    assert made == text(
        """
        for epoch in range(3):
            for x, y in loader:
                optimizer.step()
            scheduler.step()  # per batch
        """
    )


def test_a_softmax_that_an_attribute_holds_goes_with_its_call() -> None:
    source = text(
        """
        class Net(nn.Module):
            def __init__(self):
                self.head = nn.Linear(8, 3)
                self.softmax = nn.Softmax(dim=1)

            def forward(self, x):
                x = self.head(x)
                return self.softmax(x)
        """
    )
    made = mended(source, [Unwrap(of=("softmax", "Softmax"))], at(source, "nn.Softmax"))
    assert "softmax" not in made.lower()
    assert "return x\n" in made


def test_several_changes_are_made_together() -> None:
    source = "import torch.optim as optim\no = optim.Adam(p, lr=1, weight_decay=1e-4)\n"
    place = at(source, "optim.Adam")
    both = [SetArgument("weight_decay", "0.01", of=("Adam",)), Rename("AdamW", of=("Adam",))]
    assert mended(source, both, place).endswith("o = optim.AdamW(p, lr=1, weight_decay=0.01)\n")


def test_the_first_option_that_fits_is_taken() -> None:
    source = "l = crit(out, y)\n"
    options = ((Rename("softplus", of=("relu",)),), (Rewrite("{it}[0]", argument=1),))
    assert mended(source, [FirstOf(options)], at(source, "crit")) == "l = crit(out, y[0])\n"


REFUSED: dict[str, tuple[str, str, Change]] = {
    "another call stands there": ("l = f(x)\n", "f", Unwrap(of=("softmax",))),
    "the value is there already": ("o = SGD(p, lr=0.05)\n", "SGD", SetArgument("lr", "0.05")),
    "stars hide what is given": ("o = SGD(*args, **options)\n", "SGD", SetArgument("lr", "0.05", position=1)),
    "an argument excludes it": (
        "d = DataLoader(t, sampler=s)\n",
        "DataLoader",
        SetArgument("shuffle", "True", unless=("sampler",)),
    ),
    "a name is not known": ("for x in y:\n    loss.backward()\n", "loss", InsertBefore("optimizer.zero_grad()")),
    "two statements share a line": ("a = 1; f(a)\n", "f(a)", InsertBefore("a.b()")),
    "an argument would be lost": ("z = f(a, b)\n", "f", Rewrite("g({0})")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_where_the_source_is_another_one_nothing_is_changed(name: str) -> None:
    source, words, change = REFUSED[name]
    with pytest.raises(Refused):
        mended(source, [change], at(source, words))
