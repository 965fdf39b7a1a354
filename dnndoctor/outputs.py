"""Which report goes where: ``--output-format sarif=report.sarif``, as often as one likes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dnndoctor.select import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class OutputFormat(StrEnum):
    """How a report is written."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    GITLAB = "gitlab"

    @property
    def for_people(self) -> bool:
        """Whether it is read on a terminal, so that it says nothing where nothing was examined."""
        return self in (OutputFormat.FULL, OutputFormat.CONCISE)


# These are lines of text, which may follow each other on standard output; the others are documents.
LINES = frozenset({OutputFormat.FULL, OutputFormat.CONCISE, OutputFormat.GITHUB})


@dataclass(frozen=True, slots=True)
class Output:
    """A report in one format; ``path`` is None for standard output."""

    format: OutputFormat
    path: str | None = None


def outputs(formats: Sequence[str], files: Sequence[str]) -> tuple[Output, ...]:
    """What ``--output-format`` and ``--output-file`` ask for.

    A format with a path of its own (``sarif=x.sarif``) is written there beside everything else. The others take the
    files in their order, or go to standard output, which gets ``full`` where no other format is left for it.

    Raises ValueError with one line for people.
    """
    asked = [_parsed(each) for each in formats]
    free = [each for each in asked if each.path is None] or [Output(OutputFormat.FULL)]
    if files and len(files) != len(free):
        raise ValueError(
            f"{len(free)} format{'s' if len(free) != 1 else ''} and {len(files)} files: "
            f"name each file beside its format, as in {free[0].format}={files[0]}"
        )
    if not files and len(free) > 1 and (alone := [each.format for each in free if each.format not in LINES]):
        raise ValueError(f"{alone[0]} shares standard output with no other format; write it to a file: {alone[0]}=PATH")
    paths: list[str | None] = list(files) or [None] * len(free)
    free = [Output(each.format, path) for each, path in zip(free, paths, strict=True)]
    made = (*free, *(each for each in asked if each.path is not None))
    _check_paths(made)
    return made


def _parsed(word: str) -> Output:
    name, equals, path = word.partition("=")
    if name not in {each.value for each in OutputFormat}:
        known = ", ".join(OutputFormat)
        raise ValueError(f'unknown format "{name}"{nearest(name, list(OutputFormat))}; one of {known}')
    if equals and not path:
        raise ValueError(f"{word}: a path is missing")
    return Output(OutputFormat(name), path or None)


def _check_paths(made: tuple[Output, ...]) -> None:
    paths = [each.path for each in made if each.path is not None]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise ValueError(f"two reports go to {twice}")
