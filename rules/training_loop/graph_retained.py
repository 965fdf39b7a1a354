from collections.abc import Iterator

from dnndoctor.changes import Change, Rewrite, Safety
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotExamined, Severity
from dnndoctor.measurements import KeptGraphs
from dnndoctor.rule import rule


@rule("LOP104", Severity.WARNING, practice="training-loop")
def graph_retained(graphs: KeptGraphs, *, growth: float = 2.0, fewest: int = 3, carried: int = 5) -> Iterator[Finding]:
    """The autograd graph of past steps is kept, and grows with every step.

    What it measures
        How many nodes the graph behind the loss has at a few steps, and how many earlier steps it goes back to; and
        sums that take in the losses of several steps together with their graphs, and that no backward pass uses.

    Why it matters
        Memory grows until the run ends. Where backward goes through the old steps too, every step is slower than the
        one before, and the gradient is taken through weights that are gone.

    How to fix it
        Add up numbers, not tensors: ``loss.item()``. Detach a state that is carried over from batch to batch.

    When to ignore it
        Never known to be meant over a whole run. A state that is detached, and sums that backward is called on, are
        left out already.

    References
        PyTorch documentation, FAQ, "My model reports cuda runtime error(2): out of memory": accumulated history.
        growth: 2.0, this project's choice: nodes at the last look over those at the first; a sound loop's are equal.
        fewest: 3, this project's choice: earlier steps that the graph goes back to, in the end.
        carried: 5, this project's choice: steps in which a sum is carried on.
    """
    if len(graphs.step) < 2 and not graphs.sums:
        raise NotExamined("fewer than two backward passes were followed")
    if _grows(graphs, growth, fewest):
        first, last, back = int(graphs.nodes[0]), int(graphs.nodes[-1]), int(graphs.back[-1])
        yield Finding(
            f"the graph behind the loss grows from {first} to {last} nodes within {graphs.step[-1]} steps, and goes "
            f"back {back} of them",
            location=graphs.carried or graphs.location,
            evidence=(Evidence("nodes of the graph", last, first), Evidence("earlier steps", back, 0)),
            fix=Fix(
                "detach what is carried over from step to step",
                f"Each backward pass then goes through about {first} nodes, and not through {last} and more.",
                "hidden = hidden.detach()",
                _detached(graphs),
            ),
        )
    for each in graphs.sums:
        if each.steps >= carried:
            yield _kept_sum(each.location, each.steps)


def _grows(graphs: KeptGraphs, growth: float, fewest: int) -> bool:
    if len(graphs.step) < 3 or graphs.nodes[-1] < growth * graphs.nodes[0] or graphs.back[-1] < fewest:
        return False
    return bool((graphs.nodes[1:] >= graphs.nodes[:-1]).all() and (graphs.back[1:] >= graphs.back[:-1]).all())


def _kept_sum(location: Location | None, steps: int) -> Finding:
    return Finding(
        f"a sum takes in the losses of {steps} steps together with their graphs, and no backward pass uses it",
        location=location,
        evidence=(Evidence("graphs kept", steps, 0),),
        fix=Fix(
            "add up numbers",
            f"None of {steps} graphs is then kept.",
            "total += loss.item()",
            # A number would do, but what the total is asked for later may need a tensor.
            (Rewrite("{it}.detach()", argument=1, of=("+",), safety=Safety.SAFE),),
        ),
    )


def _detached(graphs: KeptGraphs) -> tuple[Change, ...]:
    forms = {"tensor": "{it}.detach()", "tuple": "tuple(each.detach() for each in {it})"}
    if graphs.carried is None or graphs.argument is None or graphs.form not in forms:
        return ()
    return (Rewrite(forms[graphs.form], argument=graphs.argument, at=graphs.carried, safety=Safety.SAFE),)
