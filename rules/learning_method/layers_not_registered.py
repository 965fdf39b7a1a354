from collections.abc import Iterator

from dnndoctor.changes import Rewrite, Safety
from dnndoctor.findings import Evidence, Finding, Fix, Severity
from dnndoctor.measurements import Construction, LooseTensors, UnregisteredLayers
from dnndoctor.rule import rule
from dnndoctor.rules.naming import listed

LISTS = ("list", "tuple")


@rule("OPT108", Severity.ERROR, practice="learning-method")
def layers_not_registered(construction: Construction, *, tolerated: int = 0) -> Iterator[Finding]:
    """A model keeps layers or weights where its ``parameters()`` does not find them.

    What it measures
        Layers that a module calls in its forward pass, that stand in a list, tuple or dict of it, and that are not
        among its submodules; and of their parameters those that get a gradient while no optimizer holds them. Layers
        that the optimizer was given in another way, and frozen ones, are left out. And tensors with a gradient that a
        module holds as a plain attribute.

    Why it matters
        The optimizer was made from ``model.parameters()``, so that these layers keep their random start. They are not
        moved by ``model.to(device)``, not switched by ``model.eval()`` and not saved with ``state_dict`` either.

    How to fix it
        Keep layers in ``nn.ModuleList`` or ``nn.ModuleDict``, and make a tensor an ``nn.Parameter``.

    When to ignore it
        The list hides a network on purpose, and something else trains it.

    References
        PyTorch documentation, torch.nn.ModuleList: modules that it contains are properly registered.
        tolerated: 0, PyTorch documentation, torch.optim: a parameter that was not given stays as it was.
    """
    for each in construction.unregistered:
        if len(each.left_out) > tolerated:
            yield _finding(each)
    for tensor in construction.loose:
        yield _tensor(tensor)


def _finding(each: UnregisteredLayers) -> Finding:
    better = "ModuleList" if each.container in LISTS else "ModuleDict"
    layers = f"{len(each.layers)} layer{'s' if len(each.layers) != 1 else ''}"
    return Finding(
        f"{each.holder} keeps {layers} in a plain {each.container}, self.{each.attribute}, so that no optimizer holds "
        f"their {len(each.left_out)} parameters: {listed(list(each.left_out))}",
        location=each.location,
        subject=f"{each.holder}.{each.attribute}",
        evidence=(
            Evidence("parameters in no optimizer", len(each.left_out), 0),
            Evidence("layers not registered", len(each.layers), 0),
        ),
        fix=Fix(
            f"make self.{each.attribute} an nn.{better}",
            f"Its {layers} are then trained, moved, saved and switched to evaluation with the model.",
            f"self.{each.attribute} = nn.{better}({'[...]' if better == 'ModuleList' else '{...}'})",
            (Rewrite(f"torch.nn.{better}({{it}})", safety=Safety.SAFE),),
        ),
    )


def _tensor(each: LooseTensors) -> Finding:
    better = {"": "Parameter", "dict": "ParameterDict"}.get(each.container, "ParameterList")
    what = f"{each.count} trainable tensors in a plain {each.container}" if each.container else "a trainable tensor"
    return Finding(
        f"{each.holder} keeps {what}, self.{each.attribute}, which is no parameter of it: it gets a gradient, but no "
        "optimizer holds it",
        location=each.location,
        subject=f"{each.holder}.{each.attribute}",
        evidence=(Evidence("tensors in no optimizer", each.count, 0),),
        fix=Fix(
            f"make self.{each.attribute} an nn.{better}",
            f"The {each.count} tensors are then trained, moved and saved with the model.",
            f"self.{each.attribute} = nn.{better}(...)",
            (Rewrite(f"torch.nn.{better}({{it}})", safety=Safety.SAFE),),
        ),
    )
