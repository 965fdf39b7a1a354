from collections.abc import Iterator
from textwrap import dedent

import pytest

from dnndoctor.findings import Finding, Location
from dnndoctor.registry import load_rules
from dnndoctor.rule import Result, State
from dnndoctor.suppress import comments_in, suppress, suppress_results


def finding(rule: str, line: int | None, file: str = "train.py") -> Finding:
    known = load_rules()[rule]
    location = Location(file, line) if line else None
    return Finding("it is so", location, rule=rule, name=known.name, practice=known.practice, severity=known.severity)


def silence(source: str, *found: Finding) -> tuple[list[str], int, tuple[str, ...]]:
    text = dedent(source).lstrip("\n")
    kept, count, unused = suppress(found, {"train.py": text}.get, target="train.py")
    return [each.rule for each in kept], count, unused


@pytest.mark.parametrize(
    "what", ["[ACT102]", "[act102]", "[sigmoid-hidden]", "[ACT]", "[INI101, ACT102]", "", " [ALL]"]
)
def test_a_comment_on_the_line_silences(what: str) -> None:
    kept, count, unused = silence(f"h = sigmoid(x)  # noqa  # dnndoctor: ignore{what}\n", finding("ACT102", 1))
    assert (kept, count) == ([], 1)
    assert unused == (("train.py:1: ignore[INI101] silences nothing",) if "INI101" in what else ())


@pytest.mark.parametrize(
    "line",
    [
        "h = sigmoid(x)  # dnndoctor: ignore[INI]",
        "h = sigmoid('# dnndoctor: ignore[ACT102]')",
        "h = sigmoid(x)  # dnndoctor: ignored",
        "h = sigmoid(x)  # dnndoctor: ignore-me",
        "h = sigmoid(x)\n# dnndoctor: ignore[ACT102]",
    ],
)
def test_another_rule_a_string_or_another_line_silences_nothing(line: str) -> None:
    assert silence(line + "\n", finding("ACT102", 1))[0] == ["ACT102"]


def test_any_line_of_the_statement_counts() -> None:
    source = """
        net = Sequential(
            Linear(3, 3),
            Sigmoid(),
        )  # dnndoctor: ignore[ACT102]
        other = Sigmoid()
    """
    assert silence(source, finding("ACT102", 3), finding("ACT102", 5))[:2] == (["ACT102"], 1)


def test_of_a_compound_statement_only_the_head_counts() -> None:
    source = """
        for x, y in zip(
            xs, ys,  # dnndoctor: ignore[SHU101]
        ):
            step(x)
            step(y)
    """
    assert silence(source, finding("SHU101", 1))[0] == []
    assert silence(source, finding("SHU101", 4))[0] == ["SHU101"]


def test_a_body_does_not_silence_its_head() -> None:
    source = """
        for x in xs:
            step(x)  # dnndoctor: ignore[SHU101]
    """
    assert silence(source, finding("SHU101", 1))[0] == ["SHU101"]
    assert silence(source, finding("SHU101", 2))[0] == []


def test_heads_of_match_and_decorated_functions() -> None:
    source = """
        match kind:  # dnndoctor: ignore[SHU101]
            case 1:
                step()
        @decorated  # dnndoctor: ignore[ACT102]
        def forward(x):
            return x
    """
    assert silence(source, finding("SHU101", 1), finding("ACT102", 5))[0] == []
    assert silence(source, finding("SHU101", 3), finding("ACT102", 6))[0] == ["SHU101", "ACT102"]


def test_a_whole_file() -> None:
    source = '"""A script."""\n# dnndoctor: ignore-file[ACT]\nimport torch\n\nh = 1\n'
    assert silence(source, finding("ACT102", 5), finding("INI101", 5))[:2] == (["INI101"], 1)


def test_a_finding_without_a_place_is_silenced_by_the_targets_file_comment_only() -> None:
    assert silence("# dnndoctor: ignore-file[HWR101]\nx = 1\n", finding("HWR101", None))[0] == []
    assert silence("x = 1  # dnndoctor: ignore[HWR101]\n", finding("HWR101", None))[0] == ["HWR101"]


def test_a_file_comment_below_the_first_statement_has_no_effect_and_says_so() -> None:
    kept, _, unused = silence("h = 1\n# dnndoctor: ignore-file[ACT102]\n", finding("ACT102", 1))
    assert kept == ["ACT102"]
    assert unused == ("train.py:2: ignore-file[ACT102] stands below the first statement, where it has no effect",)


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("ignore[ACT102]", "train.py:1: ignore[ACT102] silences nothing"),
        ("ignore", "train.py:1: ignore silences nothing"),
        ("ignore[ACT1O2]", 'train.py:1: in a dnndoctor comment no rule is meant by "ACT1O2"; nearest: ACT102'),
    ],
)
def test_a_comment_without_effect_is_told(comment: str, said: str) -> None:
    assert silence(f"x = 1  # dnndoctor: {comment}\n") == ([], 0, (said,))


def test_a_comment_for_a_rule_that_could_not_judge_is_not_called_unused() -> None:
    source = "x = 1  # dnndoctor: ignore[ACT102]\n"
    assert suppress((), lambda _: source, target="train.py", judged=lambda _: False)[2] == ()


def test_a_broken_source_still_silences_on_the_line() -> None:
    assert silence("h = 1  # dnndoctor: ignore[ACT102]\n((\n", finding("ACT102", 1))[0] == []


def test_a_source_that_cannot_be_read_silences_nothing() -> None:
    assert suppress([finding("ACT102", 1)], lambda _: None)[1] == 0


def test_no_comment_is_found_where_there_is_none() -> None:
    assert comments_in("train.py", "x = 'dnndoctor: ignore'\n") == []


def results() -> Iterator[Result]:
    rules = load_rules()
    yield Result(rules["ACT102"], State.FINDING, None, (finding("ACT102", 1), finding("ACT102", 2)))
    yield Result(rules["INI101"], State.FINDING, None, (finding("INI101", 1),))
    yield Result(rules["SHU101"], State.NOT_EXAMINED, "no loader")


def test_a_rule_whose_every_finding_is_silenced_is_not_shown_as_a_pass() -> None:
    source = "h = 1  # dnndoctor: ignore[ACT102, INI101, SHU101]\nh = 2\n"
    done = suppress_results(results(), lambda _: source, target="train.py")
    act, ini, shuffled = done.results
    assert (act.state, [f.location for f in act.findings]) == (State.FINDING, [Location("train.py", 2)])
    assert (ini.state, ini.findings) == (State.NOT_APPLICABLE, ())
    assert "silenced" in (ini.reason or "")
    assert shuffled.state is State.NOT_EXAMINED
    assert (done.count, done.unused) == (2, ())
