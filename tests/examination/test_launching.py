"""However a training program is started, and in whichever of its processes it trains, it is examined for real."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.examination import examine
from dnndoctor.rule import State
from dnndoctor.subject.program import locate
from tests.subject.conftest import tree_of

PROGRAMS = Path(__file__).parent.parent.parent / "fixtures" / "programs"
Launch = Callable[..., Diagnosis]
LOOP = """
import torch
from torch import nn
def train(steps=400):
    torch.manual_seed(0)
    x = torch.randn(256, 8); y = (x.sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(steps):
        rows = torch.randint(256, (32,))
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    print("trained", steps)
"""


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Examine a target in a folder with these files; the folder is the same afterwards."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(
        target: str,
        *args: str,
        program: str = "",
        files: dict[str, str] | None = None,
        module: bool = False,
        probes: bool = False,
        budget: float = 60.0,
    ) -> Diagnosis:
        folder = tmp_path / "work"
        shutil.copytree(PROGRAMS / program, folder) if program else folder.mkdir()
        for name, text in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        monkeypatch.chdir(folder)
        before = tree_of(folder)
        settings = Settings(budget=budget, probes=probes, only_probes=("learning-rate", "batch-size"))
        found = examine(locate(target, as_module=module), args, settings)
        ours = folder / ".dnndoctor"
        assert {path: each for path, each in tree_of(folder).items() if not path.startswith((".dnndoctor", "."))} == {
            path: each for path, each in before.items() if not path.startswith(".")
        }
        assert ours.is_dir()
        return found

    return run


def examined(found: Diagnosis) -> None:
    assert (found.target.outcome, found.target.reason) == (Outcome.EXAMINED, None)
    assert found.run.steps_observed >= 50
    assert [(each.rule, each.location) for each in found.findings if each.severity != "info"] == []


def noted(found: Diagnosis, words: str) -> bool:
    return any(words in each for each in found.run.notes)


def test_a_module_of_a_package_with_arguments(launch: Launch) -> None:
    found = launch("digits_package.train", "--hidden", "32", program="package_train", module=True)
    examined(found)
    assert (found.target.path, found.target.kind) == ("digits_package/train.py", "module")
    assert found.run.log == ".dnndoctor/train.log"
    assert "epoch 0: " in Path(found.run.log).read_text()


def test_a_file_with_relative_imports(launch: Launch) -> None:
    found = launch("study/train.py", program="relative_imports")
    examined(found)
    assert noted(found, "study/train.py has relative imports, so it was run as a module: python -m study.train")


def test_a_script_for_torchrun_is_a_world_of_one(launch: Launch) -> None:
    found = launch("train.py", program="torchrun_style", probes=True)
    examined(found)
    assert noted(found, "run again as a world of one process (RANK=0, WORLD_SIZE=1, LOCAL_RANK=0)")
    assert {each.id: each.verdict for each in found.practices}["learning-rate"] == "pass"


def test_ranks_that_are_spawned_are_only_watched(launch: Launch) -> None:
    found = launch("train.py", program="spawned_workers", probes=True)
    examined(found)
    assert noted(found, "in a process that the script started")
    (rate,) = [each for each in found.results if each.rule.code == "LRN101"]
    assert rate.state is State.NOT_EXAMINED
    assert "trains in 2 processes together" in (rate.reason or "")


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("spawned_workers", set()),
        ("ranks_apart", {("DST104", 27)}),
        ("ranks_same", {("DST101", 29), ("DST102", 33)}),
    ],
)
def test_ranks_are_compared(program: str, expected: set[tuple[str, int]], launch: Launch) -> None:
    found = launch("train.py", program=program)
    told = {(each.rule, each.location.line) for each in found.findings if each.location and each.rule[:3] == "DST"}
    assert told == expected
    (distributed,) = [each for each in found.practices if each.id == "distributed"]
    assert distributed.verdict == ("fail" if expected else "pass")


def test_a_forked_process_that_nobody_waits_for(launch: Launch) -> None:
    found = launch("train.py", program="forked_workers", probes=True)
    examined(found)
    assert noted(found, "in a process that the script started")
    assert {each.id: each.verdict for each in found.practices}["learning-rate"] == "pass"


def test_a_program_that_the_script_launches(launch: Launch) -> None:
    found = launch("launch.py", program="launched_programs")
    examined(found)
    assert noted(found, "in a process that the script started")


def test_a_program_that_cannot_be_followed_is_named(launch: Launch) -> None:
    start = "import subprocess, sys; subprocess.run([sys.executable, '-I', 'train.py'])"
    found = launch("launch.py", files={"launch.py": start, "train.py": "pass"})
    assert found.target.outcome is Outcome.NOT
    assert f"nor in what it started ({Path(sys.executable).name} -I train.py)" in (found.target.reason or "")


CROOKED = """# -*- coding: utf-8 -*-
import argparse, os, sys
import data, evaluate, reports, rules, tests, utils
assert {each.whose for each in (data, evaluate, reports, rules, tests, utils)} == {"theirs"}
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
assert parser.parse_args().rate == 0.5
os.chdir("..")
exec(open(os.path.join(os.path.dirname(__file__), "loop.py")).read())
if __name__ == "__main__":
    train()
"""


def test_a_crooked_folder_with_modules_named_like_ours(launch: Launch) -> None:
    beside = [f"runs [a b] ü/{each}" for each in ("data.py", "evaluate.py", "utils.py")]
    beside += [f"runs [a b] ü/{each}/__init__.py" for each in ("rules", "reports", "tests")]
    files = {
        "runs [a b] ü/statistics.py": CROOKED,
        "runs [a b] ü/loop.py": LOOP,
        **dict.fromkeys(beside, "whose='theirs'"),
    }
    examined(launch("runs [a b] ü/statistics.py", "--rate", "0.5", files=files))


def test_a_function_that_breaks_after_the_examination(launch: Launch) -> None:
    source = LOOP.replace("print", "raise RuntimeError") + "def main():\n    train(60)\n"
    found = launch("package.train:main", files={"package/train.py": source})
    examined(found)
    assert found.target.kind == "function"
    assert noted(found, "after the examination was through the script raised RuntimeError: ('trained', 60)")


HELD = (
    LOOP
    + """
import asyncio, signal, threading
async def work():
    await asyncio.sleep(0)
    await asyncio.gather(asyncio.to_thread(train, 10**6), return_exceptions=True)
    await asyncio.sleep(1000)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
asyncio.run(work())
"""
)


def test_a_thread_under_an_event_loop_that_swallows_everything(launch: Launch) -> None:
    examined(launch("train.py", files={"train.py": HELD}))


COMMANDS = {
    "click": (
        "import click\n@click.command()\n@click.option('--steps', type=int)\ndef main(steps):\n    train(steps)\nmain()"
    ),
    "fire": "import fire\nfire.Fire(train)",
    "hydra": (
        "import os, hydra\n"
        "@hydra.main(version_base=None, config_path='conf', config_name='config')\n"
        "def main(cfg):\n    assert os.getcwd() != hydra.utils.get_original_cwd()\n    train(cfg.steps)\nmain()"
    ),
}


@pytest.mark.parametrize("library", COMMANDS)
def test_command_line_libraries(launch: Launch, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    files = {"train.py": LOOP + COMMANDS[library], "conf/config.yaml": "steps: 80\nhydra:\n  job:\n    chdir: true\n"}
    found = launch("train.py", "steps=90" if library == "hydra" else "--steps=90", files=files)
    examined(found)
    assert "trained 90" in Path(str(found.run.log)).read_text()
