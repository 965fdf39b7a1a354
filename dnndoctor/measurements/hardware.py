"""How well the hardware is used: loading, threads, precision, memory, transfers. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class LoadingPoint:
    """The training loader alone with so many workers: until its first batch, and per batch from then on."""

    workers: int
    start_seconds: float
    batch_seconds: float
    batches: int


@dataclass(frozen=True, slots=True)
class Loading:
    """How the training loop waits for data: ``wait_seconds`` for a batch and ``compute_seconds`` for a step.

    ``workers``: the user's own number; ``cpus``: cores that the process may run on; ``batches``: of an epoch, None for
    a stream. ``untried``: why other numbers of workers were not tried.
    """

    workers: int
    cpus: int
    wait_seconds: float
    compute_seconds: float
    batches: int | None
    location: Location | None = None
    points: tuple[LoadingPoint, ...] = ()
    untried: str | None = None

    @property
    def wait_share(self) -> float:
        """Share of a step that goes into waiting."""
        return self.wait_seconds / max(self.wait_seconds + self.compute_seconds, 1e-12)


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads that torch computes with, and cores that the process may run on. ``pass_seconds``: of forward and
    backward with all threads, ``pass_seconds_at_cpus`` with one for each core or fewer; None where cores suffice.
    """

    threads: int
    cpus: int
    pass_seconds: float | None = None
    pass_seconds_at_cpus: float | None = None
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class MixedPrecision:
    """``half``: float16 or bfloat16 is in use already, ``tf32``: matrices are multiplied in TF32. ``seconds`` and
    ``mixed_seconds`` of forward and backward, None where not measured; ``kind``: the half type tried."""

    tensor_cores: bool
    half: bool
    tf32: bool
    seconds: float | None = None
    mixed_seconds: float | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Compilation:
    """Forward and backward as they are and compiled, and what compiling takes; all None where ``compiled`` already."""

    compiled: bool
    seconds: float | None = None
    compiled_seconds: float | None = None
    compile_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StepTime:
    """Where one step of the user's loop goes: seconds in waiting for data, in forward, in backward, and in the rest
    (the optimizer's step, and what else the loop does). ``clean``: all but the wait was timed while nothing was
    watched; else forward and backward are 0 and ``rest`` is all of the watched step, the watching included.
    """

    wait: float
    forward: float
    backward: float
    rest: float
    clean: bool = True

    @property
    def whole(self) -> float:
        """Seconds of the step."""
        return self.wait + self.forward + self.backward + self.rest


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Peak of what training takes and what there is, in bytes, of ``device`` ("cpu", "cuda")."""

    device: str
    peak: int
    limit: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """One tensor that was copied to the accelerator again in ``steps`` steps; one copy takes ``seconds``."""

    location: Location | None
    bytes: int
    steps: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Transfers:
    """All such tensors."""

    copies: tuple[Transfer, ...] = ()
