"""Which report goes where."""

from __future__ import annotations

import pytest

from dnndoctor.outputs import Output, OutputFormat, outputs

F = OutputFormat


@pytest.mark.parametrize(
    ("formats", "files", "made"),
    [
        ((), (), (Output(F.FULL),)),
        (("json",), (), (Output(F.JSON),)),
        ((), ("x.txt",), (Output(F.FULL, "x.txt"),)),
        (("json",), ("x.json",), (Output(F.JSON, "x.json"),)),
        (("sarif=x.sarif",), (), (Output(F.FULL), Output(F.SARIF, "x.sarif"))),
        (("github", "sarif=a=b.sarif"), (), (Output(F.GITHUB), Output(F.SARIF, "a=b.sarif"))),
        (("full", "github"), (), (Output(F.FULL), Output(F.GITHUB))),
        (("json", "junit"), ("a", "b"), (Output(F.JSON, "a"), Output(F.JUNIT, "b"))),
    ],
)
def test_each_format_has_its_place(formats: tuple[str, ...], files: tuple[str, ...], made: tuple[Output, ...]) -> None:
    assert outputs(formats, files) == made


@pytest.mark.parametrize(
    ("formats", "files", "said"),
    [
        (("sarf",), (), 'unknown format "sarf"; nearest: sarif; one of full, concise, json'),
        (("sarif=",), (), "sarif=: a path is missing"),
        (("json", "full"), (), "json shares standard output with no other format; write it to a file: json=PATH"),
        (("json", "junit"), ("a",), "2 formats and 1 files: name each file beside its format, as in json=a"),
        (("json=a", "sarif=a"), (), "two reports go to a"),
    ],
)
def test_what_does_not_work_out_is_one_line(formats: tuple[str, ...], files: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError) as why:  # noqa: PT011 - its text is what is tested
        outputs(formats, files)
    assert str(why.value).startswith(said)
