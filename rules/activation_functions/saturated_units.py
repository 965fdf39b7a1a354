from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Activation, Activations, Run
from dnndoctor.rule import rule
from dnndoctor.rules.activation_functions.watching import named, typical, watched, worst_by_place
from dnndoctor.rules.naming import attribute

BOUNDED = ("sigmoid", "tanh", "softsign")


@rule("ACT101", Severity.WARNING, practice="activation-functions")
def saturated_units(
    activations: Activations, run: Run | None, *, share: float = 0.40, severe: float = 0.80, recovering: float = 0.75
) -> Iterator[Finding]:
    """Many outputs of a hidden sigmoid or tanh lie on its flat ends, where no gradient passes.

    What it measures
        The share of outputs whose local slope is under 5 % of the function's largest (tanh beyond 0.97, sigmoid
        under 0.013 or over 0.987): median of the last three watched steps against the first three. Gates and the
        output layer are left out, and so is a share that training is bringing down.

    Why it matters
        The gradient is multiplied by the slope: a saturated unit, and all that lies before it, hardly learns.

    How to fix it
        Saturated from the start: scale the initial weights to the fan-in, and standardise the inputs. Saturated by
        training: lower the learning rate. Or use a function that does not saturate.

    When to ignore it
        Codes that are meant to be binary.

    References
        Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward networks, section 3.
        LeCun et al. 1998, Efficient BackProp, section 4.4.
        share: 0.40, measured on 30 sound runs: 0.10 to 0.27 of tanh outputs lay beyond 0.97 in them.
        severe: 0.80, measured on digits: N(0, 1) weights saturate 0.74 to 0.79 of tanh; Adam gets on, 30 times behind.
        recovering: 0.75, this project's choice: a share that fell below this part of its start is on its way down.
    """
    sites = activations.hidden(*BOUNDED)
    if not sites:
        raise NotApplicable("no sigmoid or tanh in a hidden layer")
    pretrained = run is not None and run.pretrained
    found = [
        (site, late)
        for site in watched(sites, 2)
        for early, late in [_shares(site)]
        if late > share and (late > severe or late >= recovering * early) and not (pretrained and late < early + 0.1)
    ]
    for site, late, count in worst_by_place(found):
        early = _shares(site)[0]
        yield Finding(
            f"{late:.0%} of the outputs of {named(site, count)} are saturated, where the slope is nearly zero",
            location=site.location,
            subject=site.layer or site.name,
            evidence=(
                Evidence("saturated share", late, share),
                Evidence("saturated share in the first steps", early, share),
            ),
            fix=_fix(site, from_start=early > share),
            severity=Severity.ERROR if late > severe else None,
        )


def _shares(site: Activation) -> tuple[float, float]:
    return typical(site.history[:3], "saturated_share"), typical(site.history[-3:], "saturated_share")


def _fix(site: Activation, *, from_start: bool) -> Fix:
    if not from_start:
        return Fix(
            "Lower the learning rate",
            "The units were not saturated at first: the steps are so large that they throw them onto the flat ends.",
            "for group in optimizer.param_groups:\n    group['lr'] *= 0.1",
        )
    return Fix(
        "Scale the initial weights to the fan-in and standardise the inputs",
        "Sums of unit size keep the units on their slope, and the gradient passes.",
        f"nn.init.xavier_uniform_({attribute(site.layer)}.weight)" if site.layer else "x = (x - mean) / std",
    )
