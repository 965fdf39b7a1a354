from pathlib import Path

import pytest

from dnndoctor.config import ConfigError, FailOn, Settings, load, override
from dnndoctor.findings import Severity
from dnndoctor.select import Selection


def project(folder: Path, body: str) -> Path:
    (folder / "pyproject.toml").write_text(body, encoding="utf-8")
    return folder


def test_defaults_without_a_project(tmp_path: Path) -> None:
    project(tmp_path, "[tool.dnndoctor]\n")
    assert load(tmp_path) == Settings(root=str(tmp_path))


@pytest.mark.parametrize(
    ("family", "words"),
    [("gna", "nearest: gan"), ("fine-tunning", "nearest: fine-tuning"), ("xyz", "one of supervised, gan, ")],
)
def test_an_unknown_family_is_told_with_the_nearest_one(tmp_path: Path, family: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f'^--family: unknown family "{family}".*{words}'):
        override(Settings(), Selection(), family=family)
    project(tmp_path, f'[tool.dnndoctor]\nfamily = "{family}"\n')
    with pytest.raises(ConfigError, match=f'pyproject.toml: tool.dnndoctor.family: unknown family "{family}".*{words}'):
        load(tmp_path)


def test_every_setting_is_read(tmp_path: Path) -> None:
    settings = load(
        project(
            tmp_path,
            """
            [tool.dnndoctor]
            select = ["INI", "rate-too-high"]
            ignore = ["INI104"]
            extend-select = ["SHU"]
            fail-on = "warning"
            output-format = "concise"
            output-file = "out.txt"
            html = "none"
            budget = 60
            steps = 20
            seed = 3
            probes = false
            keep-files = true
            family = "gan"
            exit-zero = true
            [tool.dnndoctor.rules.LRN101]
            margin = 3
            [tool.dnndoctor.rules.not-shuffled]
            fewest = 10
            """,
        )
    )
    assert settings == Settings(
        select=("INI", "rate-too-high"),
        ignore=("INI104",),
        extend_select=("SHU",),
        fail_on=FailOn.WARNING,
        output_format="concise",
        output_file="out.txt",
        html="none",
        budget=60.0,
        steps=20,
        seed=3,
        probes=False,
        keep_files=True,
        family="gan",
        exit_zero=True,
        thresholds={"LRN101": {"margin": 3}, "SHU101": {"fewest": 10}},
        root=str(tmp_path),
    )
    assert settings.html_path is None
    assert settings.output_paths == (tmp_path / "out.txt",)


def test_the_nearest_project_with_settings_counts(tmp_path: Path) -> None:
    project(tmp_path, "[tool.dnndoctor]\nsteps = 7\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    project(tmp_path / "a", "[project]\nname = 'x'\n")
    assert load(inner).steps == 7
    project(tmp_path / "a", "[tool.dnndoctor]\nsteps = 8\n")
    assert load(inner).steps == 8


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[tool.dnndoctor]\nbudgets = 3", 'unknown setting "tool.dnndoctor.budgets"; nearest: budget'),
        ("[tool.dnndoctor]\nfail_on = 'info'", 'unknown setting "tool.dnndoctor.fail_on"; nearest: fail-on'),
        ("[tool.dnndoctor]\nroot = 'x'", 'unknown setting "tool.dnndoctor.root"'),
        ("[tool.dnndoctor]\nsteps = 'many'", "tool.dnndoctor.steps: expected int, got str"),
        ("[tool.dnndoctor]\nsteps = 0", "tool.dnndoctor.steps: expected int >= 1"),
        ("[tool.dnndoctor]\nselect = 'INI'", "tool.dnndoctor.select: expected array, got str"),
        ("[tool.dnndoctor]\nselect = [1]", "tool.dnndoctor.select: expected str, got int"),
        ("[tool.dnndoctor]\nselect = ['INJ']", 'tool.dnndoctor.select: no rule is meant by "INJ"; nearest: INI'),
        (
            "[tool.dnndoctor]\nfail-on = 'eror'",
            "tool.dnndoctor.fail-on: unknown value 'eror'; one of error, warning, info, never",
        ),
        ("[tool.dnndoctor.rules.LRN01]", 'unknown rule "tool.dnndoctor.rules.LRN01"; nearest: LRN101'),
        (
            "[tool.dnndoctor.rules.LRN101]\nmargn = 3",
            'unknown threshold "tool.dnndoctor.rules.LRN101.margn"; nearest: margin',
        ),
        (
            "[tool.dnndoctor.rules.LRN101]\nmargin = 'x'",
            "tool.dnndoctor.rules.LRN101.margin: expected a number, got 'x'",
        ),
        (
            "[tool.dnndoctor.rules.SHU101]\nfewest = 1.5",
            "tool.dnndoctor.rules.SHU101.fewest: expected a whole number, got 1.5",
        ),
        ("[tool]\ndnndoctor = 3", "tool.dnndoctor: expected a table"),
        ("tool = 3", "tool: expected a table"),
        ("[tool.dnndoctor", "Expected"),
    ],
)
def test_a_setting_that_cannot_be_used_names_file_key_and_nearest(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(project(tmp_path, body))
    assert "pyproject.toml: " in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_command_line_wins() -> None:
    base = Settings(steps=7, html="x.html", ignore=("INI",))
    settings = override(base, Selection(select=("LRN",)), steps=9, html=None)
    assert (settings.steps, settings.html, settings.ignore) == (9, "x.html", ("INI",))
    assert settings.overrides.select == ("LRN",)


def test_the_command_line_names_the_option_of_an_unknown_rule() -> None:
    with pytest.raises(ConfigError, match=r'^--extend-select: no rule is meant by "XYZ"'):
        override(Settings(), Selection(extend_select=("XYZ",)))


@pytest.mark.parametrize(
    ("fail_on", "reached"),
    [(FailOn.ERROR, 1), (FailOn.WARNING, 2), (FailOn.INFO, 3), (FailOn.NEVER, 0)],
)
def test_fail_on_counts_its_severity_and_the_graver_ones(fail_on: FailOn, reached: int) -> None:
    assert [fail_on.reached(each) for each in Severity] == [place < reached for place in range(3)]
