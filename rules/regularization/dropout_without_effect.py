from collections.abc import Iterator

from dnndoctor.changes import FirstOf, RemoveArgument, Rename, Rewrite, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Dropout, DropoutSetting, LayerSettings, RecurrentSetting, Wiring
from dnndoctor.rule import rule


@rule("REG109", Severity.WARNING, practice="regularization")
def dropout_without_effect(
    settings: LayerSettings, wiring: Wiring | None, *, fewest_layers: int = 2, batch_dimensions: int = 2
) -> Iterator[Finding]:
    """A dropout was asked for, but does not do what it says.

    What it measures
        A rate given to a recurrent layer that has nothing between layers to drop; a dropout whose result is thrown
        away while its input is used; ``Dropout1d`` on a plain [batch, features] input, where it drops whole samples.
        ``Dropout2d`` on such an input, where it is a plain dropout, and a dropout layer that no pass calls are
        information.

    Why it matters
        The model is taken to be regularised, and is not.

    How to fix it
        Put a dropout where it acts: behind a recurrent layer of one level, on a result that is used further.

    When to ignore it
        The rate is an argument that only matters for deeper variants of the model.

    References
        PyTorch documentation, torch.nn.LSTM: dropout acts on the outputs of each layer except the last.
        PyTorch documentation, torch.nn.Dropout1d: a two-dimensional input is taken for one sample's channels.
        fewest_layers: 2, PyTorch documentation, torch.nn.LSTM: with one layer there is nothing between layers.
        batch_dimensions: 2, PyTorch documentation, torch.nn.Dropout1d: an input without a batch has two dimensions.
    """
    rates = [each for each in settings.recurrent if each.dropout > 0]
    used = [each for each in (wiring.dropouts if wiring else ()) if each.active and each.p]
    if not rates and not used and not settings.dropouts:
        raise NotApplicable("the model has no dropout")
    for each in rates:
        if each.layers < fewest_layers:
            yield _between_layers(each)
    for use in used:
        if use.ignored:
            yield _thrown_away(use)
        elif len(use.shape) == batch_dimensions and use.function in ("dropout1d", "dropout2d"):
            yield _other_shape(use)
    idle = [each for each in settings.dropouts if not each.called and each.p > 0]
    if idle and wiring is not None:
        yield _never_called(idle)


def _between_layers(each: RecurrentSetting) -> Finding:
    code = f"out, _ = self.{each.name.rpartition('.')[2]}(x)\nout = self.dropout(out)  # nn.Dropout({each.dropout:g})"
    # What never acted goes; a dropout that acts would be another model.
    changes = (RemoveArgument("dropout", of=(each.kind,), safety=Safety.SAFE),)
    return Finding(
        f"{each.name} has dropout={each.dropout:g}, which acts between stacked layers, but only {each.layers} layer",
        location=each.location,
        subject=each.name,
        evidence=(Evidence("stacked layers", each.layers, 2), Evidence("dropout", each.dropout, 0.0)),
        fix=Fix(
            "drop the outputs of the layer instead",
            f"{each.dropout:.0%} of its outputs are then dropped.",
            code,
            changes,
        ),
    )


def _thrown_away(use: Dropout) -> Finding:
    return Finding(
        f"the result of {use.name} (p={use.p:g}) is used by nothing, and its input goes on as it was",
        location=use.call or use.location,
        subject=use.name,
        evidence=(Evidence("operations that take the result", 0, 1),),
        fix=Fix(
            "use the result",
            f"{use.p or 0:.0%} of the units are then dropped.",
            "x = self.dropout(x)",
            (Rewrite("{0} = {it}"),),
        ),
    )


def _other_shape(use: Dropout) -> Finding:
    samples = use.function == "dropout1d"
    changes = (
        FirstOf(((Rename("Dropout", of=("Dropout1d", "Dropout2d")),), (Rename("dropout", of=(use.function,)),))),
    )
    what = "drops whole samples" if samples else "acts as a plain dropout"
    return Finding(
        f"{use.name} {what} of its {use.shape[0]} x {use.shape[1]} input, which has no channels to drop",
        location=use.location,
        subject=use.name,
        evidence=(Evidence("dimensions of the input", len(use.shape), 3 if samples else 4),),
        fix=Fix("take a plain dropout", "It drops single features of each sample.", f"nn.Dropout({use.p:g})", changes),
        severity=None if samples else Severity.INFO,
    )


def _never_called(idle: list[DropoutSetting]) -> Finding:
    first = idle[0]
    many = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
    return Finding(
        f"the dropout {first.name} (p={first.p:g}){many} is built, but no pass in training calls it",
        location=first.location,
        subject=first.name,
        evidence=(Evidence("dropouts that are never called", len(idle), 0),),
        fix=Fix(f"call {first.name} or take it out", f"{first.p:.0%} of its input would be dropped."),
        severity=Severity.INFO,
    )
