from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Activation, Activations
from dnndoctor.rule import rule
from dnndoctor.rules.activation_functions.watching import named, watched, worst_by_place
from dnndoctor.rules.naming import attribute

ZERO_SIDED = ("relu", "relu6", "threshold")


@rule("ACT103", Severity.WARNING, practice="activation-functions")
def dead_units(
    activations: Activations,
    *,
    share: float = 0.50,
    grown_share: float = 0.40,
    growth: float = 0.10,
    samples: int = 300,
) -> Iterator[Finding]:
    """Many ReLU units are never active, whatever the sample: they pass nothing on and learn nothing.

    What it measures
        The share of a layer's units that no sample has activated, over all watched samples and confirmed by the step
        before; and whether all outputs are zero in the last five watched steps, which is an error. Units are counted,
        not zeros. In models with attention, which are sparse by design, only a wholly dead layer is reported.

    Why it matters
        Where a ReLU is zero so is its slope: a unit that is off for every sample gets no gradient and stays off.

    How to fix it
        Dead from the start: He initialisation, small or zero biases, standardised inputs. Dead by training: a lower
        learning rate. A leaky slope lets dead units come back.

    When to ignore it
        Sparse layers by design (experts, top-k). He initialisation at depth 20 leaves 20 % of units silent.

    References
        He et al. 2015, Delving Deep into Rectifiers, section 2; Lu et al. 2019, Dying ReLU and Initialization.
        share: 0.50, measured on 30 sound runs: up to 0.04 in MLPs and conv nets, 0.32 in a VAE, 0.49 in a transformer.
        grown_share: 0.40, measured: sound convolutional VAEs grow from 0 to 0.32 within 45 steps.
        growth: 0.10, this project's choice: what the share has to gain over the watch to count as growing.
        samples: 300, a unit active in 1 % of samples is silent in 299 of them with probability 0.05 (binomial).
    """
    sites = activations.hidden(*ZERO_SIDED)
    if not sites:
        raise NotApplicable("no ReLU in a hidden layer")
    sites = watched(sites, 2)
    found = [(site, _dead(site, samples)) for site in sites if _whole(site, samples)]
    if not found and not activations.transformer:
        if all(each.history[-1].pooled < samples for each in sites):
            pooled = max(each.history[-1].pooled for each in sites)
            raise NotExamined(f"only {pooled} samples were seen, too few to call a unit dead")
        found = [(site, _dead(site, samples)) for site in sites if _sick(site, samples, share, grown_share, growth)]
    for site, dead, count in worst_by_place(found):
        whole = dead == 1.0
        units = f"the {site.units} units" if site.units else "the units"  # a flight does not count them
        what = "no unit" if whole else f"{dead:.0%} of {units}"
        yield Finding(
            f"{what} of {named(site, count)} {'ever' if whole else 'never'} became active: they cannot learn",
            location=site.location,
            subject=site.layer or site.name,
            evidence=(
                Evidence("dead share", dead, share),
                Evidence("samples", site.history[-1].pooled, samples),
                Evidence("zero share", site.history[-1].zero_share),
            ),
            fix=Fix(
                "Start from He initialisation with zero bias, or lower the learning rate",
                "Half of the units are then active for any sample; a leaky slope lets dead ones recover.",
                f"nn.init.kaiming_normal_({attribute(site.layer)}.weight, nonlinearity='relu')\n"
                f"nn.init.zeros_({attribute(site.layer)}.bias)",
            ),
            severity=Severity.ERROR if whole else None,
        )


def _whole(site: Activation, samples: int) -> bool:
    """All outputs zero now; a layer that never was active needs as many samples as any unit."""
    last = site.history[-5:]
    silent = len(last) >= 3 and site.units >= 4 and all(each.zero_share == 1.0 for each in last)
    return silent or (last[-1].dead_share == 1.0 and last[-1].pooled >= samples)


def _dead(site: Activation, samples: int) -> float:
    return 1.0 if _whole(site, samples) else site.history[-1].dead_share


def _sick(site: Activation, samples: int, share: float, grown_share: float, growth: float) -> bool:
    enough = [each.dead_share for each in site.history if each.pooled >= samples]
    if not enough:
        return False
    confirmed = min(enough[-2:])
    return confirmed > share or (confirmed > grown_share and confirmed - enough[0] > growth)
