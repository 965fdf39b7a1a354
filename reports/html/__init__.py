"""The diagnosis as one self-contained page: complete offline and without JavaScript, asks the network for nothing."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.reports.html.page import page
from dnndoctor.reports.words import printable


def render(diagnosis: Diagnosis, root: Path | None = None, folder: Path | None = None) -> str:
    """The page; source is read from files relative to ``root`` (the working directory). It will lie in ``folder``."""
    return rendered("report.html.j2", page=page(diagnosis, root, folder))


def rendered(template: str, **values: Any) -> str:
    """A page from its template, with the style sheet and the script in it."""
    style, script = _texts("report.css", "figures.css"), _texts("page.js")
    # The policy names both by their hashes, so that nothing from the user's files could ever act.
    return (
        _environment()
        .get_template(template)
        .render(values, style=style, digest=_digest(style), script=script, script_digest=_digest(script))
    )


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("dnndoctor.reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Whatever an expression yields, made harmless; markup (``__html__``) was made of harmless text."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


@cache
def _texts(*names: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return "".join(environment.loader.get_source(environment, name)[0] for name in names)
