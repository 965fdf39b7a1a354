"""Where in the repository a finding lies, as services that hold the repository name it."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Finding, Location


def repository(root: Path) -> Path:
    """The folder with ``.git`` at ``root`` or above it; ``root`` itself where there is none."""
    full = Path(os.path.abspath(root))
    return next((each for each in (full, *full.parents) if (each / ".git").exists()), full)


@dataclass(frozen=True)
class Places:
    """Places of a diagnosis whose files are relative to ``root``, the working directory."""

    diagnosis: Diagnosis
    root: Path
    repository: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "repository", repository(self.root))

    def anchor(self, finding: Finding) -> Location:
        """The finding's place; one without a place is shown where the training that it speaks of is set up."""
        return finding.location or self._of_subject(finding.subject) or self._training() or self.target

    @property
    def target(self) -> Location:
        """The first line of what was examined."""
        return Location(self.diagnosis.target.path, 1)

    def path(self, file: str) -> str:
        """The file from the repository's root, with slashes; one that lies elsewhere with its whole path."""
        full = os.path.normpath(self.root.absolute() / file)
        inside = os.path.relpath(full, self.repository)
        return Path(full if inside.startswith(os.pardir) else inside).as_posix()

    def _of_subject(self, subject: str | None) -> Location | None:
        loop = self.diagnosis.run.loop
        if loop is None:
            return None
        named = [(each.name, each.location) for each in loop.optimizers]
        named += [(each.name, each.location) for each in loop.models]
        named += [(each.name, each.location) for each in loop.loaders]
        named += [(each.name, each.location) for each in loop.losses]
        return next((place for name, place in named if name == subject and place), None)

    def _training(self) -> Location | None:
        loop = self.diagnosis.run.loop
        if loop is None:
            return None
        places = [*(each.location for each in loop.optimizers), *(each.location for each in loop.models)]
        return next((each for each in places if each), None)
