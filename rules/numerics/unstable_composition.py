from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, Rewrite
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Domain, Domains, Finiteness
from dnndoctor.rule import rule

NEAR_ZERO = {
    "log": ("log", "F.log_softmax(scores, dim=1)  # or F.logsigmoid, or torch.log(x + 1e-8)"),
    "log2": ("log", "torch.log2(x + 1e-8)"),
    "log10": ("log", "torch.log10(x + 1e-8)"),
    "sqrt": ("square root", "torch.sqrt(x + 1e-8)"),
    "rsqrt": ("square root", "torch.rsqrt(x + 1e-8)"),
    "div": ("quotient", "x / (y + 1e-8)"),
    "reciprocal": ("quotient", "1 / (x + 1e-8)"),
}


@rule("NUM103", Severity.WARNING, practice="numerics")
def unstable_composition(
    domains: Domains,
    finiteness: Finiteness | None,
    *,
    zero: float = 1e-30,
    root: float = 1e-14,
    exponent: float = 80.0,
    half_exponent: float = 10.0,
) -> Iterator[Finding]:
    """A function was fed next to where it, or its gradient, becomes infinite.

    What it measures
        The inputs of logarithms, roots, quotients and exponentials on the way of the gradient, over the watched steps:
        the smallest magnitude, if that is not zero, and the largest exponent. An epsilon in front keeps them away
        and is thereby seen. Where a value has become non-finite already, that is reported instead.

    Why it matters
        A little more, and the value or its gradient is infinite, and all weights are NaN one step later.

    How to fix it
        Use the fused function (log_softmax, logsumexp, softplus), or add an epsilon.

    When to ignore it
        The entries concerned are masked out afterwards, and their gradient is too.

    References
        Goodfellow, Bengio & Courville 2016, Deep Learning, section 4.1, Overflow and Underflow.
        zero: 1e-30, IEEE 754: the smallest normal float32 is 1.2e-38; no epsilon in use is as small.
        root: 1e-14, arithmetic: the gradient of the root is then 5e6.
        exponent: 80.0, arithmetic: exp(88.7) overflows in float32.
        half_exponent: 10.0, arithmetic: exp(11.1) overflows in float16.
    """
    if not domains.all:
        raise NotApplicable("no logarithm, root, quotient or exponential is on the way of the gradient")
    if finiteness is not None and finiteness.first is not None:
        raise NotApplicable("a value became non-finite, which is reported by itself")
    for each in domains.all:
        if each.operation == "exp":
            limit = half_exponent if each.dtype == "float16" else exponent
            if limit < each.largest < float("inf"):
                yield _finding(
                    each,
                    f"exp is taken of {each.largest:.3g}, near where it overflows",
                    each.largest,
                    limit,
                    "torch.softmax(x, dim=-1)  # or torch.exp(x - x.max(dim=-1, keepdim=True).values)",
                )
        elif each.operation in NEAR_ZERO:
            limit = root if "sqrt" in each.operation else zero
            if 0 < each.least < limit:
                what, code = NEAR_ZERO[each.operation]
                message = f"the {what} of {each.least:.2g} is taken, next to where its gradient is infinite"
                yield _finding(each, message, each.least, limit, code)


def _finding(each: Domain, message: str, value: float, limit: float, code: str) -> Finding:
    return Finding(
        message,
        location=each.location,
        subject=each.module or None,
        evidence=(Evidence("input", value, limit),),
        fix=Fix(
            "Keep the input away from there, or use the fused function",
            "Value and gradient stay finite.",
            code,
            _kept_away(each),
        ),
    )


def _kept_away(each: Domain) -> tuple[Change, ...]:
    """An epsilon where the function is called; what is divided by where it is a quotient."""
    if each.operation == "div":
        sign, call = (Rewrite("{it} + 1e-8", argument=1, of=of, method=True) for of in (("/",), ("div",)))
        return (FirstOf(((sign,), (call,))),)
    if each.operation not in NEAR_ZERO or each.operation == "reciprocal":
        return ()
    return (Rewrite("{it} + 1e-8", argument=0, of=(each.operation,), method=True),)
