from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnndoctor.subject.program import Program, locate
from dnndoctor.workspace import BadInput

SHOW = """
import os, sys
print([os.path.abspath(sys.argv[0]), *sys.argv[1:]], os.path.abspath(sys.path[0]), os.path.abspath(__file__), __name__)
print(__package__, __spec__ and (__spec__.name, __spec__.origin), type(__loader__).__name__, __doc__)
print(sorted(__builtins__.__dict__)[:3], sys.modules["__main__"].__dict__ is globals(), dir())
"""
RUN = """
import sys, pathlib
bare = set(sys.modules)
from dnndoctor.subject import start
from dnndoctor.subject.program import locate
program = locate(sys.argv[1], as_module=sys.argv[2] == "m")
start.uncover(program.first, pathlib.Path(program.path).stem, bare)
start.run(program, sys.argv[3:])
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few programs; ``sub [1] ü`` is a folder as people name them."""
    for path in ("plain.py", "sub [1] ü/train.py", "package/__init__.py", "package/train.py", "package/__main__.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(SHOW if "init" not in path else "")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(SHOW)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(*args: str) -> str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("target", "flag", "bare"),
    [
        ("plain.py", "f", ["plain.py"]),
        ("./sub [1] ü/train.py", "f", ["./sub [1] ü/train.py"]),
        ("folder", "f", ["folder"]),
        ("package.train", "m", ["-m", "package.train"]),
        ("package", "m", ["-m", "package"]),
        ("package/train.py", "f", ["package/train.py"]),
        ("package/__main__.py", "f", ["package/__main__.py"]),
    ],
)
def test_a_program_finds_the_world_that_python_gives(tree: Path, target: str, flag: str, bare: list[str]) -> None:
    assert python("-P", "-c", RUN, target, flag, "--lr", "3") == python(*bare, "--lr", "3")


def test_a_link_is_started_in_the_folder_that_it_leads_to(tree: Path) -> None:
    (tree / "link.py").symlink_to(tree / "sub [1] ü" / "train.py")
    assert python("-P", "-c", RUN, "link.py", "f") == python("link.py")


def test_modules_beside_the_script_win(tree: Path) -> None:
    names = ["utils", "data", "evaluate", "rules", "reports", "tests", "glob", "msgpack", "queue"]
    for name in names:
        (tree / f"{name}.py").write_text(f"whose = 'theirs {name}'")
    # Whatever we have imported, as the interpreter itself has not.
    lines = [f"import {name}; print({name}.whose)" for name in names]
    (tree / "main.py").write_text("\n".join(lines))
    run = RUN.replace("bare = set(sys.modules)", "bare = set(sys.modules); import glob, queue")
    assert python("-P", "-c", run, "main.py", "f").splitlines() == [f"theirs {name}" for name in names]


def test_a_script_named_as_a_module_of_python_is_not_run_twice(tree: Path) -> None:
    (tree / "queue.py").write_text("print('once'); import concurrent.futures.thread")
    run = RUN.replace("bare = set(sys.modules)", "bare = set(sys.modules); import concurrent.futures.thread")
    assert python("-P", "-c", run, "queue.py", "f") == "once\n"


def test_a_declared_encoding_holds(tree: Path) -> None:
    (tree / "latin.py").write_bytes("# -*- coding: latin-1 -*-\nprint(len('\u00fc'))\n".encode("latin-1"))
    assert python("-P", "-c", RUN, "latin.py", "f") == "1\n"


def test_names_of_modules_need_no_flag(tree: Path) -> None:
    found = locate("package.train")
    assert (found.start, found.path, found.module) == ("module", "package/train.py", "package.train")
    assert locate("package/train.py").start == "file", "a path that exists is a path"
    assert locate("package").start == "folder"
    assert locate("package", as_module=True).module == "package.__main__"


def test_a_function_is_found_in_a_module_and_in_a_file(tree: Path) -> None:
    found = locate("package.train:main")
    assert (found.start, found.path, found.module, found.function) == (
        "function",
        "package/train.py",
        "package.train",
        "main",
    )
    assert locate("plain.py:Trainer.run").function == "Trainer.run"
    assert locate("plain.py:Trainer.run").first == str(tree)


def test_nothing_is_imported_to_find_it(tree: Path) -> None:
    (tree / "package" / "__init__.py").write_text("raise SystemExit('imported')")
    assert locate("package.train").path == "package/train.py"


def test_an_installed_command_is_found_by_its_name(tree: Path) -> None:
    found = locate("torchrun")
    assert (found.start, found.function) == ("function", "main")
    assert os.path.basename(found.argv0) == "torchrun"


RELATIVE = "from .model import Net\n"


@pytest.mark.parametrize(
    ("source", "path", "module"),
    [
        (RELATIVE, "package/own.py", "package.own"),
        ("from ..package.model import Net\n", "outer/package/own.py", "outer.package.own"),
        (f"if True:\n    {RELATIVE}", "package/own.py", "package.own"),
    ],
)
def test_a_file_with_relative_imports_is_run_as_its_module(tree: Path, source: str, path: str, module: str) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(source)
    found = locate(path)
    assert (found.start, found.module, found.first, found.path) == ("module", module, str(tree), path)
    assert found.note == f"{path} has relative imports, so it was run as a module: python -m {module}, in {Path()}"


@pytest.mark.parametrize(
    "source",
    [
        f"try:\n    {RELATIVE}except ImportError:\n    Net = None\n",
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {RELATIVE}",
        f"def later():\n    {RELATIVE}",
    ],
)
def test_relative_imports_that_do_not_run_are_none(tree: Path, source: str) -> None:
    (tree / "package" / "own.py").write_text(source)
    assert locate("package/own.py").start == "file"


@pytest.mark.parametrize(
    ("target", "as_module", "message"),
    [
        ("plian.py", False, "plian.py: no such file; nearest: plain.py"),
        ("sub [1] ü", False, "sub [1] ü: is a directory without __main__.py; name the training script in it"),
        ("no.such", True, "no.such: no such module; -m takes a name as python -m does, with dots and without .py"),
        ("no.such:main", False, "no.such:main: no module no.such is found from here; a target is a script, or "
         "module:function"),
        ("bare", True, "bare: is a package without __main__; name a module in it: bare.train"),
        ("package.broken", True, "package/broken.py:1:7: syntax error: invalid syntax"),
        ("note.ipynb", False, "note.ipynb: is a notebook; make a script of it: jupyter nbconvert --to script "
         "note.ipynb"),
    ],
)  # fmt: skip
def test_what_cannot_be_started_is_one_line(tree: Path, target: str, as_module: bool, message: str) -> None:
    (tree / "bare").mkdir()
    (tree / "bare" / "__init__.py").touch()
    (tree / "package" / "broken.py").write_text("import")
    (tree / "note.ipynb").write_text("{}")
    with pytest.raises(BadInput) as refused:
        locate(target, as_module=as_module)
    assert str(refused.value).replace(str(tree) + "/", "") == message


def test_a_program_survives_the_way_to_the_child(tree: Path) -> None:
    import msgspec

    found = locate("package.train:main")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Program) == found
