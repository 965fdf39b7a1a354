"""Facts of the examined run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """The run as a whole.

    ``device`` is where the model's parameters were ("cpu", "cuda"); ``accelerator`` the name of the one that
    the machine has, if any. ``steps`` counts the user's own observed optimizer steps, probes not included.
    ``pretrained``: what is trained started from loaded weights. ``family`` is the kind of training as far as it was
    recognised or set: one of ``families.FAMILIES``. ``whole``: the script came to its own end while it was watched, so
    that ``steps`` are all that it makes.
    """

    device: str
    accelerator: str | None
    steps: int
    pretrained: bool = False
    family: str = "supervised"
    models: tuple[str, ...] = ()
    parameters: int = 0
    wall_seconds: float = 0.0
    torch_version: str = ""
    python_version: str = ""
    whole: bool = False
