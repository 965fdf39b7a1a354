from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, Severity
from dnndoctor.measurements import Compilation, TrainingLoop
from dnndoctor.rule import rule
from dnndoctor.rules.places import largest_model


@rule("HWR105", Severity.INFO, practice="hardware")
def not_compiled(compilation: Compilation, loop: TrainingLoop | None, *, gain: float = 1.3) -> Iterator[Finding]:
    """The model is measured to be clearly faster when it is compiled.

    What it measures
        The time of forward and backward of the model as they are and under ``torch.compile``, and how long compiling
        takes. It is tried where ``--only-probe compile`` asks for it, as it may take a minute.

    Why it matters
        Compiled, neighbouring operations run as one, and less goes through the memory.

    How to fix it
        Compile the model once, after it was moved to its device.

    When to ignore it
        The run is shorter than compiling takes, or shapes change all the time.

    References
        Ansel et al. 2024, PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode Transformation, table 4.
        gain: 1.3, this project's choice: times as fast; below it compiling is hardly won back.
    """
    if compilation.compiled or compilation.seconds is None or compilation.compiled_seconds is None:
        return
    faster = compilation.seconds / max(compilation.compiled_seconds, 1e-12)
    if faster < gain:
        return
    yield Finding(
        f"forward and backward are {faster:.1f} times as fast compiled; compiling took "
        f"{compilation.compile_seconds or 0:.0f} s",
        location=largest_model(loop),
        evidence=(Evidence("pass", compilation.seconds, compilation.compiled_seconds, "s"),),
        fix=Fix(
            "compile the model",
            f"A pass takes {compilation.compiled_seconds:.3g} s instead of {compilation.seconds:.3g} s.",
            "model = torch.compile(model)",
        ),
    )
