from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Directions
from dnndoctor.rule import rule


@rule("CAP104", Severity.INFO, practice="capacity")
def superfluous_units(
    directions: Directions, *, share: float = 0.1, samples: int = 1024, fewest_units: int = 64
) -> Iterator[Finding]:
    """The units of a wide layer vary in so few directions that a tenth of them would do.

    What it measures
        Principal components of a hidden layer's outputs after the activation, over training samples from step 100 on:
        how many hold 99 % of the variance, against the number of units.

    Why it matters
        Units that are combinations of others cost memory and time and add nothing that the next layer could use.

    How to fix it
        A narrower layer; train both and compare the validation score.

    When to ignore it
        The watch ends early in training: layers take up more directions as they learn. Width also helps training.

    References
        Roy & Vetterli 2007, The Effective Rank; Feng et al. 2022, Rank Diminishing in Deep Neural Networks, section 3.
        share: 0.1, this project's choice: with a factor of ten even the next layer's errors leave room.
        samples: 1024, arithmetic: fewer cannot show the rank of layers that are a few hundred wide.
        fewest_units: 64, this project's choice: narrower layers are not worth the trial.
    """
    judged = [each for each in directions.sites if each.samples >= samples and each.width >= fewest_units]
    if not judged:
        raise NotApplicable(f"no hidden layer of {fewest_units} units or more")
    found = sorted((each for each in judged if each.rank < share * each.width), key=lambda each: each.rank / each.width)
    if not found:
        return
    worst = found[0]
    others = f", and {len(found) - 1} more layers are alike" if len(found) > 1 else ""
    yield Finding(
        f"the {worst.width} units of {worst.name} vary in {worst.rank} directions only{others}",
        location=worst.location,
        subject=worst.name,
        evidence=(
            Evidence("components that hold 99 % of the variance", worst.rank, share * worst.width),
            Evidence("units", worst.width),
            Evidence("samples", worst.samples, samples),
        ),
        fix=Fix(
            "try a narrower layer",
            f"{max(2 * worst.rank, 8)} units leave twice the room that the outputs take up now.",
        ),
    )
