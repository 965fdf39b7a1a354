from pathlib import Path

import pytest

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.reports import terminal


def test_a_finding_shows_its_line_the_caret_the_figures_and_the_fix(sick: Diagnosis, folder: Path) -> None:
    text = terminal.full(sick, 100, False, folder)
    lines = text.splitlines()
    [row] = [i for i, line in enumerate(lines) if line.startswith(" 11 | ")]
    assert lines[row].index("nn.init.normal_") == lines[row + 1].index("^")
    assert "measured: std 6.1, expected 0.5" in text
    assert "fix: draw the weights for a sigmoid" in text
    assert "+            nn.init.xavier_uniform_(layer.weight, gain=4.0)" in text


def test_consequences_hang_under_their_cause(sick: Diagnosis, folder: Path) -> None:
    lines = terminal.full(sick, 200, False, folder).splitlines()
    cause, direct, indirect = (
        next(i for i, line in enumerate(lines) if code in line) for code in ("INI102", "ACT101", "GRD101")
    )
    assert cause < direct < indirect
    indents = [len(lines[i]) - len(lines[i].lstrip()) for i in (cause, direct, indirect)]
    assert indents[0] < indents[1] < indents[2]


def test_every_practice_has_a_line_and_the_unjudged_their_reason(sick: Diagnosis) -> None:
    lines = terminal.full(sick).splitlines()
    assert any(line.startswith("pass  Training data") for line in lines)
    assert any(line.startswith("fail  Activation functions") for line in lines)
    assert any(line.startswith("?     Shuffling") and "no DataLoader was seen" in line for line in lines)
    assert any(line.startswith("-     Power-of-two") and "a tiny model" in line for line in lines)
    assert any("LOS101" in line and "crashed, a bug of dnndoctor" in line for line in lines)


def test_the_last_line_sums_up_and_says_what_to_do_first(sick: Diagnosis) -> None:
    last = terminal.full(sick).splitlines()[-1]
    assert last == "1 error, 3 warnings, 1 note. First: draw the weights for a sigmoid (train.py:11)."


def test_without_color_there_is_no_escape_and_only_ascii(sick: Diagnosis, folder: Path) -> None:
    text = terminal.full(sick, 100, False, folder)
    assert text.isascii()
    assert "\033" not in text
    assert "\033[1;31m[error]" in terminal.full(sick, 100, True, folder)


@pytest.mark.parametrize("columns", [40, 72, 100])
def test_prose_stays_within_the_width(sick: Diagnosis, columns: int) -> None:
    lines = terminal.full(sick, columns).splitlines()
    prose = [line for line in lines if " | " not in line]
    assert max(map(len, prose)) <= max(columns, 72)  # a column narrower than 40 is not made


def test_concise_has_one_line_per_finding_and_the_summary(sick: Diagnosis) -> None:
    lines = terminal.concise(sick).splitlines()
    assert len(lines) == len(sick.findings) + 2
    assert lines[-1] == "The program's own output: .dnndoctor/train.log"
    assert lines[0].startswith("train.py:11:13: INI102 [warning] the weights of layers.0")


def test_a_sound_run_is_one_line(sound: Diagnosis) -> None:
    assert terminal.concise(sound) == "No faults found.\n"


def test_what_was_not_examined_says_why_at_the_head(unseen: Diagnosis) -> None:
    assert "Not examined: the script made no optimizer step." in "\n".join(terminal.full(unseen).splitlines()[:3])


def test_a_hostile_name_cannot_steer_the_terminal(hostile: Diagnosis) -> None:
    for text in (terminal.full(hostile), terminal.concise(hostile)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        text.encode("utf-8")  # no lone surrogate is left


def test_what_is_only_worth_knowing_is_one_line_after_the_findings(remarked: Diagnosis) -> None:
    text = terminal.full(remarked)
    findings, _, rest = text.partition("Worth knowing\n")
    assert "LRN101" in findings
    assert "LRN106" not in findings
    assert rest.startswith("  train.py:13:1 LRN106 no-decay: the rate stays at 0.5 for 40 epochs\n\n")
    assert text.count("fix: draw another rate") == 1
