"""The commands, with stand-ins for the examination; and what they import, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dnndoctor import __version__
from dnndoctor.cli import main
from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis, Outcome, RunFacts, Target, diagnose
from dnndoctor.findings import Finding, Location, Severity
from dnndoctor.registry import load_rules
from dnndoctor.rule import Result, State
from dnndoctor.subject.given import Given
from dnndoctor.subject.program import Program, script

Said = tuple[int, str, str]
Run = Callable[..., Said]


def diagnosis(*severities: Severity, outcome: Outcome = Outcome.EXAMINED, reason: str | None = None) -> Diagnosis:
    rules = list(load_rules().values())
    results = [
        Result(
            each,
            State.FINDING,
            None,
            (Finding("it is so", Location("train.py", 1), rule=each.code, name=each.name, severity=grade),),
        )
        for each, grade in zip(rules, severities, strict=False)
    ]
    steps = 0 if outcome is Outcome.NOT else 50
    facts = RunFacts("cpu", steps, 3.0, ".dnndoctor/train.dnnrec", {}, ("train.py:1: ignore silences nothing",))
    return diagnose(Target("train.py", (), "script", outcome, reason), facts, {}, results)


class StandIn(SimpleNamespace):
    """Takes the place of ``dnndoctor.examination`` and notes what it was asked."""

    gives: Diagnosis
    asked: list[tuple[str | Program, tuple[str, ...], Settings]]
    given: Given

    def examine(
        self, program: Program, args: Sequence[str], settings: Settings, *, on_progress: Any = None, given: Given
    ) -> Diagnosis:
        self.given = given
        self.asked.append((program, tuple(args), settings))
        if on_progress is not None:
            on_progress("start", 0, 0, 120.0)
            on_progress("observe", 1, 50, 119.0)
            on_progress("observe", 2, 50, 118.0)
        return self.gives

    def rediagnose(self, recording: Path, settings: Settings) -> Diagnosis:
        if recording.read_bytes() != b"good":
            raise ValueError(f"{recording}: is no recording of dnndoctor")
        self.asked.append((str(recording), (), settings))
        return self.gives


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("x = 1\n")
    (tmp_path / "pyproject.toml").write_text("[tool.dnndoctor]\n")
    made = StandIn(gives=diagnosis(), asked=[])
    monkeypatch.setitem(sys.modules, "dnndoctor.examination", made)
    return made


@pytest.fixture
def run(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*args: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(args)
        assert isinstance(ended.value.code, int)
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


@pytest.mark.parametrize(
    ("severities", "options", "code"),
    [
        ((), (), 0),
        ((Severity.ERROR,), (), 1),
        ((Severity.WARNING,), (), 0),
        ((Severity.WARNING,), ("--fail-on", "warning"), 1),
        ((Severity.INFO,), ("--fail-on", "warning"), 0),
        ((Severity.INFO,), ("--fail-on", "info"), 1),
        ((Severity.ERROR,), ("--fail-on", "never"), 0),
        ((Severity.ERROR,), ("--exit-zero",), 0),
    ],
)
def test_exit_code_by_severity(
    run: Run, stand_in: StandIn, severities: tuple[Severity, ...], options: tuple[str, ...], code: int
) -> None:
    stand_in.gives = diagnosis(*severities)
    assert run("check", "train.py", *options)[0] == code


def test_a_rule_that_crashed_exits_with_2_after_the_report(run: Run, stand_in: StandIn) -> None:
    rule = next(iter(load_rules().values()))
    made = diagnosis(Severity.ERROR)
    stand_in.gives = replace(made, results=(Result(rule, State.CRASHED, "KeyError: 'x'"),))
    code, out, err = run("check", "train.py", "--exit-zero", "--output-format", "concise")
    assert code == 2
    assert "it is so" in out
    assert f"{rule.code} failed" in err
    assert Path("dnndoctor-report.html").exists()


def test_not_examined_is_one_line_and_exit_2(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(outcome=Outcome.NOT, reason="train.py:1: ImportError: no module nmpy")
    code, out, err = run("check", "train.py", "--quiet", "--exit-zero")
    assert (code, out) == (2, "")
    assert err == "dnndoctor: train.py: not examined: train.py:1: ImportError: no module nmpy\n"
    assert not Path("dnndoctor-report.html").exists()


def test_not_examined_is_still_json(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(outcome=Outcome.NOT, reason="it has no steps")
    code, out, _ = run("check", "train.py", "--output-format", "json")
    assert code == 2
    assert json.loads(out)["target"]["outcome"] == "not-examined"


def test_partly_examined_is_judged_by_its_findings(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(outcome=Outcome.PARTLY, reason="killed by signal 9")
    assert run("check", "train.py")[0] == 0


def test_findings_on_stdout_all_else_on_stderr(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(Severity.ERROR)
    _, out, err = run("check", "train.py", "--output-format", "concise")
    assert "train.py:1:1" in out
    assert "dnndoctor:" not in out
    assert err.splitlines() == [
        "dnndoctor: starting the script",
        "dnndoctor: watching its steps",
        "dnndoctor: report: dnndoctor-report.html",
        "dnndoctor: train.py:1: ignore silences nothing",
    ]


def test_quiet_says_nothing_beside_the_findings(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(Severity.ERROR)
    assert run("check", "train.py", "--quiet")[2] == ""


def test_options_and_arguments_reach_the_examination(run: Run, stand_in: StandIn) -> None:
    run(
        *("check", "--budget", "30", "--steps", "9", "--seed", "4", "--no-probes", "--keep-files", "--family", "gan"),
        *("--select", "INI,LRN", "--select", "SHU101", "--ignore", "INI101", "--extend-select", "training-data"),
        *("--html", "none", "train.py", "--", "--steps", "3", "--help"),
    )
    [(program, args, settings)] = stand_in.asked
    assert (program, args) == (script("train.py"), ("--steps", "3", "--help"))
    assert (settings.budget, settings.steps, settings.seed, settings.family) == (30.0, 9, 4, "gan")
    assert (settings.probes, settings.keep_files, settings.html) == (False, True, "none")
    assert settings.overrides.select == ("INI", "LRN", "SHU101")
    assert settings.overrides.ignore == ("INI101",)
    assert settings.overrides.extend_select == ("training-data",)


def test_settings_of_the_project_hold_unless_the_command_line_says_otherwise(run: Run, stand_in: StandIn) -> None:
    Path("pyproject.toml").write_text(
        "[tool.dnndoctor]\nsteps = 7\noutput-format = 'json'\nkeep-files = true\nexit-zero = true\nprobes = false\n"
    )
    run("check", "train.py", "--steps", "8")
    [(_, _, settings)] = stand_in.asked
    assert (settings.steps, settings.output_format, settings.keep_files) == (8, "json", True)
    assert (settings.exit_zero, settings.probes) == (True, False)


def test_the_report_goes_to_the_file(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(Severity.ERROR)
    code, out, _ = run("check", "train.py", "--output-file", "out.json", "--output-format", "json", "--html", "a.html")
    assert (code, out) == (1, "")
    assert json.loads(Path("out.json").read_text())["summary"]["error"] == 1
    assert "<html" in Path("a.html").read_text()
    assert not Path("dnndoctor-report.html").exists()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("check", "trian.py"), "trian.py: no such file; nearest: train.py"),
        (("check", "."), ".: is a directory without __main__.py; name the training script in it"),
        (("check", "broken.py"), "broken.py:2:5: syntax error: '(' was never closed"),
        (("check", "null.py"), "null.py: "),
        (("check", "a.ipynb"), "a.ipynb: is a notebook"),
        (("check", "recording.py"), "recording.py: is no script; for a recording: dnndoctor report recording.py"),
        (("check", "train.py", "--slect", "INI"), "No such option: --slect"),
        (("check", "train.py", "--select", "INJ"), '--select: no rule is meant by "INJ"; nearest: INI'),
        (("check", "train.py", "--fail-on", "eror"), "Invalid value for '--fail-on'"),
        (("check", "train.py", "--steps", "0"), "Invalid value for '--steps'"),
        (("check", "train.py", "--html", "no/such/x.html"), "no/such/x.html: cannot be written: there is no folder"),
        (("check", "train.py", "--html", "train.py/x"), "train.py/x: cannot be written: train.py is no folder"),
        (("check", "train.py", "--output-file", "folder"), "folder: cannot be written: it is a directory"),
        (("chek", "train.py"), "No such command 'chek'"),
        (("check",), "Missing argument"),
        (("report", "nope.dnnrec"), "nope.dnnrec: no such file"),
        (("report", "."), ".: is a directory"),
        (("report", "train.py"), "train.py: is no recording of dnndoctor"),
        (("rule", "LRN10"), 'no rule is called "LRN10"; nearest: LRN1'),
    ],
)
def test_bad_input_is_one_line_before_the_work(run: Run, stand_in: StandIn, args: tuple[str, ...], line: str) -> None:
    Path("broken.py").write_text("a = 1\nb = (\n")
    Path("null.py").write_bytes(b"a = '\0'\n")
    Path("a.ipynb").write_text("{}")
    Path("recording.py").write_bytes(b"SQLite format 3\0...")
    Path("folder").mkdir()
    before = sorted(Path().iterdir())
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert err.startswith(f"dnndoctor: {line}")
    assert err.count("\n") == 1
    assert not stand_in.asked
    assert sorted(Path().iterdir()) == before


def test_an_unknown_option_says_where_the_scripts_own_go(run: Run) -> None:
    assert "; an option of the script goes after --" in run("check", "train.py", "--epochs", "3")[2]


def test_an_unknown_setting_is_one_line(run: Run, stand_in: StandIn) -> None:
    Path("pyproject.toml").write_text("[tool.dnndoctor]\nsetps = 3\n")
    code, _, err = run("check", "train.py")
    assert code == 2
    assert err == 'dnndoctor: pyproject.toml: unknown setting "tool.dnndoctor.setps"; nearest: steps\n'
    assert not stand_in.asked


def test_a_folder_for_recordings_that_is_a_file_is_said_before_the_work(run: Run, stand_in: StandIn) -> None:
    Path(".dnndoctor").write_text("")
    assert run("check", "train.py")[0] == 2
    assert not stand_in.asked


def test_looking_at_an_output_path_does_not_touch_the_file(run: Run, stand_in: StandIn) -> None:
    kept = Path("out.txt")
    kept.write_text("of last week")
    assert run("check", "broken.py", "--output-file", "out.txt")[0] == 2
    assert run("check", "train.py", "--output-file", "out.txt", "--html", "no/such.html")[0] == 2
    assert kept.read_text() == "of last week"


def test_report_writes_html_only_where_told(run: Run, stand_in: StandIn) -> None:
    Path("a.dnnrec").write_bytes(b"good")
    stand_in.gives = diagnosis(Severity.ERROR)
    code, out, _ = run("report", "a.dnnrec", "--output-format", "concise")
    assert code == 1
    assert "it is so" in out
    assert not Path("dnndoctor-report.html").exists()
    run("report", "a.dnnrec", "--html", "b.html")
    assert Path("b.html").exists()


def test_interrupted_is_one_line(run: Run, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> Diagnosis:
        raise KeyboardInterrupt

    monkeypatch.setattr(stand_in, "examine", interrupt, raising=False)
    code, _, err = run("check", "train.py", "--quiet")
    assert code == 2
    assert err.strip() == "dnndoctor: interrupted"


def test_version_and_help(run: Run) -> None:
    assert run("--version")[:2] == (0, f"dnndoctor {__version__}\n")
    assert "--extend-select" in run("check", "--help")[1]
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "postmortem" in err
    assert "check" in err


def test_rules_lists_every_rule(run: Run) -> None:
    code, out, _ = run("rules")
    assert code == 0
    for each in load_rules().values():
        assert any(each.code in line and each.name in line and each.title in line for line in out.splitlines())


@pytest.mark.parametrize(
    ("options", "there", "gone"),
    [
        (["--select", "LRN"], "LRN101", "DAT101"),
        (["--select", "learning-rate,NUM101"], "NUM101", "GRD101"),
        (["--select", "LRN", "--ignore", "rate-too-low"], "LRN101", "LRN102"),
    ],
)
def test_rules_lists_what_was_chosen(run: Run, options: list[str], there: str, gone: str) -> None:
    code, out, _ = run("rules", *options)
    assert code == 0
    assert there in out
    assert gone not in out


def test_rules_say_what_they_judge_by(run: Run) -> None:
    _, out, _ = run("rules", "--select", "LRN101")
    assert "[learning rate sweep, optimizers]" in out


def test_a_probe_that_is_none_is_named_with_the_nearest_one(run: Run) -> None:
    code, _, err = run("check", "train.py", "--only-probe", "learning-rat")
    assert code == 2
    assert "learning-rate" in err


@pytest.mark.parametrize("name", ["LRN101", "lrn101", "rate-too-high"])
def test_a_manual_page(run: Run, name: str) -> None:
    code, out, _ = run("rule", name)
    assert code == 0
    assert out.startswith("LRN101 rate-too-high\n")
    assert load_rules()["LRN101"].doc in out
    assert "margin = 2.0" in out


def test_schema_is_json(run: Run) -> None:
    assert json.loads(run("schema")[1])["$schema"].startswith("https://json-schema.org/")
    assert "overrides" not in json.loads(run("schema", "--settings")[1])["$defs"]["Settings"]["properties"]
    assert json.loads(run("schema", "--comparison")[1])["title"] == "dnndoctor comparison, version 1"


def test_what_a_model_file_is_given_arrives(run: Run, stand_in: StandIn) -> None:
    options = ("--model", "Net", "--loss", "m:dice", "--input", "3,32,32", "--input", "t=scalar:int10")
    assert run("check", "train.py", *options)[0] == 0
    assert stand_in.given == Given(model="Net", loss="m:dice", inputs=("3,32,32", "t=scalar:int10"))


def test_an_input_that_cannot_be_read_is_one_line(run: Run) -> None:
    code, out, err = run("check", "train.py", "--input", "3,x")
    assert (code, out) == (2, "")
    assert "--input 3,x: expected [NAME=]SIZES[:KIND]" in err


HEAVY = ("torch", "scipy")


@pytest.mark.parametrize(
    ("args", "absent"),
    [
        (["--help"], (*HEAVY, "numpy", "rich.console", "jinja2")),
        (["check", "--help"], (*HEAVY, "numpy", "rich.console", "jinja2")),
        (["--version"], (*HEAVY, "numpy")),
        (["rules"], HEAVY),
        (["rule", "LRN101"], HEAVY),
        (["schema"], HEAVY),
        (["check", "no-such-script.py"], HEAVY),
        (["compare", "--help"], (*HEAVY, "numpy")),
        (["compare", "no-such.dnnrec", "nor-such.dnnrec"], HEAVY),
    ],
)
def test_a_quick_command_imports_nothing_heavy(args: list[str], absent: tuple[str, ...]) -> None:
    assert_absent(f"from dnndoctor.cli import main\nmain({args!r})", absent)


@pytest.mark.parametrize(
    "module", ["dnndoctor.examination", "dnndoctor.comparing", "dnndoctor.reports.html", "dnndoctor.reports.terminal"]
)
def test_the_parents_modules_import_no_torch(module: str) -> None:
    assert_absent(f"import {module}", ("torch",))


def assert_absent(code: str, absent: tuple[str, ...]) -> None:
    program = f"""
import sys
try:
{"".join(f"    {line}{chr(10)}" for line in code.splitlines())}
except SystemExit:
    pass
print("LOADED", [name for name in {absent!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_several_reports_at_once(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(Severity.ERROR)
    options = ("--output-format", "github", "--output-format", "sarif=x.sarif", "--output-format", "junit=x.xml")
    code, out, _ = run("check", "train.py", *options)
    assert (code, out.startswith("::error file=")) == (1, True)
    assert json.loads(Path("x.sarif").read_text())["version"] == "2.1.0"
    assert Path("x.xml").read_text().startswith("<?xml")


def test_services_are_told_of_what_was_not_examined(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(outcome=Outcome.NOT, reason="it broke")
    code, out, err = run("check", "train.py", "--output-format", "github", "--output-format", "full=x.txt")
    assert (code, out.startswith("::error ")) == (2, True)
    assert "not examined: it broke" in err
    assert not Path("x.txt").exists()


def test_a_report_that_cannot_be_written_is_told_before_any_work(run: Run, stand_in: StandIn) -> None:
    code, _, err = run("check", "train.py", "--output-format", "sarif=no/x.sarif")
    assert (code, stand_in.asked) == (2, [])
    assert "there is no folder no" in err


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Callable[[Diagnosis, Diagnosis], None]:
    """Recordings a.dnnrec and b.dnnrec that are judged so."""

    def make(before: Diagnosis, after: Diagnosis) -> None:
        made = {"a.dnnrec": before, "b.dnnrec": after}
        for name in made:
            Path(name).touch()
        monkeypatch.setitem(
            sys.modules, "dnndoctor.examination", SimpleNamespace(rediagnose=lambda path, _settings: made[str(path)])
        )
        monkeypatch.delitem(sys.modules, "dnndoctor.comparing", raising=False)

    return make


@pytest.mark.parametrize(
    ("before", "after", "options", "code"),
    [
        ((), (Severity.ERROR,), (), 1),
        ((), (Severity.ERROR,), ("--exit-zero",), 0),
        ((), (Severity.WARNING,), (), 0),
        ((), (Severity.WARNING,), ("--fail-on", "warning"), 1),
        ((Severity.ERROR,), (Severity.ERROR,), (), 0),
        ((Severity.ERROR,), (), (), 0),
        ((Severity.WARNING,), (Severity.ERROR,), (), 1),
    ],
)
def test_a_comparison_fails_for_what_came(
    run: Run,
    two: Callable[[Diagnosis, Diagnosis], None],
    before: tuple[Severity, ...],
    after: tuple[Severity, ...],
    options: tuple[str, ...],
    code: int,
) -> None:
    two(diagnosis(*before), diagnosis(*after))
    found, out, err = run("compare", "a.dnnrec", "b.dnnrec", *options)
    assert (found, err) == (code, "")
    assert out.splitlines()[-1].startswith("Findings: ")


def test_a_comparison_writes_what_was_asked_for_and_nothing_else(
    run: Run, two: Callable[[Diagnosis, Diagnosis], None]
) -> None:
    two(diagnosis(), diagnosis(Severity.ERROR))
    Path("pyproject.toml").write_text('[tool.dnndoctor]\noutput-file = "kept.txt"\nhtml = "kept.html"\n')
    code, out, err = run("compare", "a.dnnrec", "b.dnnrec", "--output-format", "json", "--html", "c.html")
    assert (code, len(json.loads(out)["came"]), err) == (1, 1, "dnndoctor: report: c.html\n")
    assert not Path("kept.txt").exists()
    assert not Path("kept.html").exists()
    code, out, _ = run("compare", "a.dnnrec", "b.dnnrec", "--output-file", "c.txt", "-q")
    assert (code, out) == (1, "")
    assert Path("c.txt").read_text().startswith("before  train.py")


def test_nothing_follows_from_what_was_not_examined(run: Run, two: Callable[[Diagnosis, Diagnosis], None]) -> None:
    two(diagnosis(), diagnosis(outcome=Outcome.NOT, reason="it broke"))
    code, _, err = run("compare", "a.dnnrec", "b.dnnrec")
    assert code == 2
    assert "was not examined" in err


def test_a_comparison_needs_two_recordings(run: Run) -> None:
    Path("a.dnnrec").touch()
    assert run("compare", "a.dnnrec", "b.dnnrec") == (2, "", "dnndoctor: b.dnnrec: no such file; nearest: a.dnnrec\n")
    code, _, err = run("compare", "a.dnnrec")
    assert (code, err) == (2, "dnndoctor: Missing argument 'after'.\n")


def test_known_findings_pass(run: Run, stand_in: StandIn) -> None:
    stand_in.gives = diagnosis(Severity.ERROR)
    assert run("check", "train.py", "--baseline", "known.json")[0] == 2, "there is no such file yet"
    assert stand_in.asked == []
    assert run("check", "train.py", "--write-baseline")[0] == 2, "which file?"
    assert run("check", "train.py", "--baseline", "known.json", "--write-baseline")[0] == 0
    code, out, _ = run("check", "train.py", "--baseline", "known.json", "--output-format", "json")
    assert (code, json.loads(out)["findings"]) == (0, [])
    stand_in.gives = diagnosis(Severity.ERROR, Severity.ERROR)
    assert run("check", "train.py", "--baseline", "known.json")[0] == 1


def test_the_settings_that_hold_are_shown_and_satisfy_their_schema(run: Run) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    Path("pyproject.toml").write_text('[tool.dnndoctor]\nbudget = 30\n[tool.dnndoctor.severities]\nLRN101 = "error"\n')
    shown = json.loads(run("--show-settings")[1])
    assert (shown["budget"], shown["severities"], shown["steps"]) == (30, {"LRN101": "error"}, 50)
    schema = json.loads(run("schema", "--settings")[1])
    jsonschema.validate(shown, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"budgt": 3}, schema)
