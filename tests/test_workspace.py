"""Nothing of the user's makes way for a recording."""

import sqlite3
from pathlib import Path

import pytest

from dnndoctor.recording.writer import Writer
from dnndoctor.workspace import BadInput, make_way


def test_an_earlier_recording_makes_way_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "a.dnnrec"
    Writer(str(path)).close()
    Path(f"{path}-wal").write_bytes(b"left by a killed writer")
    make_way(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["text", "database"])
def test_what_is_no_recording_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine.db"
    if kind == "text":
        path.write_text("import torch\n")
    else:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE runs (loss REAL)")
        database.close()
    before = path.read_bytes()
    with pytest.raises(BadInput, match="is no recording, and stays as it is"):
        make_way(path)
    assert path.read_bytes() == before
