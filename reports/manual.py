"""A rule's manual page taken apart at its headings."""

import re
from collections.abc import Mapping

_HEADING = re.compile(r"^(\w[\w ]*)$")


def sections(page: str) -> Mapping[str, str]:
    """The page's indented sections by heading; the opening sentence under "". Paragraphs stay apart by a blank line."""
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in page.splitlines():
        if line and not line[0].isspace() and _HEADING.match(line) and parts[""]:
            current = line.strip()
            parts[current] = []
        else:
            parts[current].append(line.strip())
    return {heading: _paragraphs(lines) for heading, lines in parts.items()}


def _paragraphs(lines: list[str]) -> str:
    joined = "\n".join(lines).strip()
    return "\n\n".join(" ".join(block.split("\n")) for block in re.split(r"\n{2,}", joined))
