"""Words from manual pages and rules as markup: paragraphs, and code where backticks say so."""

import re

from markupsafe import Markup, escape

from dnndoctor.reports.words import printable

_CODE = re.compile(r"``(.+?)``|`([^`\n]+)`")


def prose(text: str) -> Markup:
    """Paragraphs of escaped text; what stands in backticks is code."""
    blocks = [each for each in printable(text).strip().split("\n\n") if each]
    return Markup("\n").join(Markup("<p>{}</p>").format(_inline(each)) for each in blocks)


def _inline(text: str) -> Markup:
    made, at = Markup(""), 0
    for match in _CODE.finditer(text):
        made += escape(text[at : match.start()]) + Markup("<code>{}</code>").format(match[1] or match[2])
        at = match.end()
    return made + escape(text[at:])
