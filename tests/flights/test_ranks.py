"""Several processes that train one model: a recording of each, judged together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dnndoctor.recording.rank_lines import Line, compare, exchanges
from dnndoctor.subject.launchers import launch_name, own_rank
from tests.flights.flying import Ran, command, environment, report_of

PROGRAMS = Path(__file__).parent.parent.parent / "fixtures" / "programs"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node")


def fly(folder: Path, *words: str) -> Ran:
    done = subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=200, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr, report_of(folder))


def places(ran: Ran) -> dict[str, int | None]:
    return {each["rule"]: (each["location"] or {}).get("line") for each in ran.found["findings"]}


def expected(script: Path) -> dict[str, int]:
    lines = script.read_text().splitlines()
    return {line.rpartition("expect: ")[2]: number for number, line in enumerate(lines, 1) if "expect: " in line}


def test_spawned_ranks_that_exchange_nothing(tmp_path: Path) -> None:
    shutil.copytree(PROGRAMS / "ranks_apart", tmp_path, dirs_exist_ok=True)
    ran = fly(tmp_path, *command("train.py"))
    assert (ran.code, places(ran)) == (1, expected(tmp_path / "train.py")), ran
    assert {each.name for each in (tmp_path / ".dnndoctor").glob("*.dnnrec")} == {
        "train.rank0.dnnrec",
        "train.rank1.dnnrec",
    }
    (tmp_path / "found.json").unlink()
    report = ("--output-format", "json", "--output-file", "found.json", "--html", "none")
    later = fly(tmp_path, sys.executable, "-m", "dnndoctor", "postmortem", ".dnndoctor", *report)
    assert (later.code, places(later)) == (1, expected(tmp_path / "train.py")), later


def test_ranks_that_differ_and_do_each_others_work(tmp_path: Path) -> None:
    shutil.copytree(PROGRAMS / "ranks_same", tmp_path, dirs_exist_ok=True)
    ran = fly(tmp_path, *command("train.py"))
    assert (ran.code, places(ran)) == (1, expected(tmp_path / "train.py")), ran


def test_four_sound_ranks_of_torchrun(tmp_path: Path) -> None:
    shutil.copytree(PROGRAMS / "torchrun_style", tmp_path, dirs_exist_ok=True)
    words = command("train.py")[2:]  # -m dnndoctor run ...
    ran = fly(tmp_path, *TORCHRUN, "4", "-m", *words)
    assert (ran.code, ran.codes) == (0, {}), ran
    assert ran.said.count("recording to") == 1  # one rank speaks for all
    assert len(list((tmp_path / ".dnndoctor").glob("train.rank?.dnnrec"))) == 4
    states = {each["rule"]: each["state"] for each in ran.found["rules"]}
    assert [states[each] for each in ("DST101", "DST102", "DST104")] == ["pass"] * 3


SLOW = """
import os, time
import torch, torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = DistributedDataParallel(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
random = torch.Generator().manual_seed(rank)
for step in range(60):
    x = torch.randn(16, 8, generator=random)
    if rank == 1:
        time.sleep(0.02)
    loss = nn.functional.cross_entropy(model(x), (x.sum(1) > 0).long())
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    if step == 50 and rank == 1:
        raise ValueError("only here")
"""


def test_a_rank_that_is_slow_and_then_fails(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SLOW)
    ran = fly(tmp_path, *command("-m", "torch.distributed.run", "--", "--nproc-per-node", "2", "train.py"))
    assert ran.code == 1, ran
    messages = {each["rule"]: each["message"] for each in ran.found["findings"]}
    assert "rank 1 takes" in messages["DST103"]
    assert "ValueError: only here (on rank 1)" in messages["LOP111"]


def line(step: int, hashes: str, batch: str, own: float = 0.01) -> Line:
    return {"step": step, "hashes": list(hashes), "batch": batch, "own": own, "whole": 0.02}


def test_lines_are_compared_as_far_as_all_ranks_have_come() -> None:
    one = [{"step": -1, "hashes": ["a", "b"]}, line(0, "ab", "x"), line(1, "cd", "y"), line(2, "ef", "z")]
    two = [{"step": -1, "hashes": ["a", "b"]}, line(0, "ab", "x"), line(1, "cD", "w", 0.03)]
    found = compare({0: one, 1: two}, ["weight", "bias"])
    assert (found["steps"], found["started_equal"], found["differing"]) == (2, True, ["bias"])
    assert (found["first_difference"], found["batches"], found["same_batches"]) == (1, 2, 1)
    assert (found["own_seconds"], found["slowest_share"]) == ([0.01, 0.03], [0.0, 1.0])


def test_what_is_the_same_in_every_step_is_no_batch() -> None:
    ranks = {rank: [line(step, "ab", "positions") for step in range(5)] for rank in range(2)}
    assert compare(ranks, ["a", "b"])["batches"] == 0


def test_a_barrier_at_the_end_of_an_epoch_is_no_exchange() -> None:
    lines = [{"step": step, "exchanged": step % 8 == 7} for step in range(16)]
    assert exchanges(lines) == 0
    assert exchanges([{**each, "exchanged": True} for each in lines]) == 16


def test_ranks_of_one_launch_find_the_same_name() -> None:
    launched = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "29500"}
    assert own_rank({}) is None
    assert own_rank({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert own_rank(launched) == 0
    assert launch_name(launched) == launch_name({**launched, "RANK": "1"})
    assert launch_name(launched) != launch_name({**launched, "TORCHELASTIC_RESTART_COUNT": "1"})
    assert launch_name({}) != launch_name({}), os.environ


def test_one_rank_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    from dnndoctor.recording.launches import flights_at, launches, together
    from dnndoctor.recording.writer import Writer

    for rank in range(2):
        writer = Writer(str(tmp_path / f"x.rank{rank}.dnnrec"))
        writer.run(kind="flight", launch="a", rank=rank, world=2, began=1.0, notes=["kept"])
        writer.put_all("rank", [{"step": step, "facts": line(step, "ab", "same")} for step in range(4)])
        writer.close()
    [alone] = launches(flights_at([tmp_path / "x.rank1.dnnrec"]))
    assert together(alone) == {"notes": ["kept", "recordings of 1 of 2 ranks were there"]}
    [both] = launches(flights_at([tmp_path]))
    assert [each.rank for each in both.flights] == [0, 1]
    assert together(both)["ranks_compared"]["steps"] == 4
