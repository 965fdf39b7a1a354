"""Runs ``dnndoctor check`` with the action's inputs, which come as environment variables: no shell reads them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PREFIX = "DNNDOCTOR_"
OPTIONS = ("FAIL_ON", "REPEAT", "BUDGET", "BASELINE")


def main() -> int:
    """Give the exit code of the check, after its outputs and its summary were written for the runner."""
    folder = Path(os.environ.get("RUNNER_TEMP", "."))
    html, sarif, summary = (folder / f"dnndoctor.{ending}" for ending in ("html", "sarif", "txt"))
    try:
        words = command(os.environ, html, sarif, summary)
    except ValueError as why:
        print(f"::error::dnndoctor: the inputs cannot be read: {why}")
        return 2
    code = subprocess.run(words, check=False).returncode
    made = {"report": html if html.exists() else "", "sarif": sarif if sarif.exists() else "", "exit-code": code}
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in made.items()))
    if summary.exists():
        _append("GITHUB_STEP_SUMMARY", f"### dnndoctor\n\n{_indented(summary.read_text(encoding='utf-8'))}\n")
    return code


def command(inputs: Mapping[str, str], html: Path, sarif: Path, summary: Path) -> list[str]:
    """The command line. Raises ValueError where a quote is left open."""
    given = {name: inputs.get(PREFIX + name, "").strip() for name in ("TARGET", "ARGS", "OPTIONS", *OPTIONS)}
    words = ["dnndoctor", "check", given["TARGET"], "--html", str(html)]
    for each in ("github", f"sarif={sarif}", f"concise={summary}"):
        words += ["--output-format", each]
    for name in OPTIONS:
        if given[name]:
            words += [f"--{name.lower().replace('_', '-')}", given[name]]
    words += shlex.split(given["OPTIONS"])
    arguments = shlex.split(given["ARGS"])
    return [*words, "--", *arguments] if arguments else words


def _indented(text: str) -> str:
    """As code: Markdown in a message stays text."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    sys.exit(main())
