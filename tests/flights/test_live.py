"""What a recorded run says while it goes on, and how a finding ends it."""

from __future__ import annotations

from pathlib import Path

from tests.flights.flying import LOOP, run

BREAKS = LOOP + (
    "steps(50)\n"
    "optimizer.param_groups[0]['lr'] = 1e30\n"
    "until = time.time() + 60\n"
    "try:\n"
    "    while time.time() < until:\n"
    "        steps(1); time.sleep(0.01)\n"
    "    print('never stopped')\n"
    "finally:\n"
    "    print('cleared away')\n"
)


def test_a_finding_ends_the_run_as_findings_do(tmp_path: Path) -> None:
    ran = run(tmp_path, BREAKS, options=("--stop-on", "NUM,LRN", "--keep-batches"))
    assert ran.printed == "cleared away\n", ran
    assert ran.code == 1
    assert "NUM101" in ran.codes
    assert ran.said.count("dnndoctor: NUM101 [error]") == 1
    assert "ends the training at its next step" in ran.said
    assert "black box of step" in ran.said


def test_an_unknown_rule_is_one_line(tmp_path: Path) -> None:
    ran = run(tmp_path, LOOP, options=("--stop-on", "NMU101"))
    assert ran.code == 2
    assert ran.said.startswith('dnndoctor: --stop-on: no rule is meant by "NMU101"')
    assert ran.said.count("\n") == 1
