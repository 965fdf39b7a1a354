from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dnndoctor.subject.listing import clear_up, take

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_happened(work: Path) -> None:
    assert clear_up(take(str(work)), take(str(work)), ()) == []


def test_older_files_of_others_are_not_moved(work: Path) -> None:
    before = take(str(work))
    elsewhere = work.parent / "moved-in"
    elsewhere.write_text("x")
    elsewhere.rename(work / "moved-in")
    later = take(str(work))
    future = type(before)(before.entries, True, before.taken_ns + 10**12)
    assert clear_up(future, later, ()) == []
    assert (work / "moved-in").exists()


def test_git_and_our_folder_are_not_looked_at(work: Path) -> None:
    for name in (".git", ".dnndoctor"):
        (work / name).mkdir()
    before = take(str(work))
    for name in (".git", ".dnndoctor"):
        (work / name / "new").touch()
    assert clear_up(before, take(str(work)), ()) == []
    assert (work / ".git/new").exists()


def test_a_bounded_listing_moves_nothing(work: Path) -> None:
    before = take(str(work), entries=1)
    assert not before.complete
    (work / "new").touch()
    assert clear_up(before, take(str(work)), ()) == []
    assert (work / "new").exists()


def test_what_was_put_back_may_be_another_inode(work: Path) -> None:
    before = take(str(work))
    content, times = (work / "best.pt").read_bytes(), (work / "best.pt").stat()
    (work / "other").write_bytes(content)
    (work / "other").replace(work / "best.pt")
    os.utime(work / "best.pt", ns=(times.st_atime_ns, times.st_mtime_ns))
    known = {os.path.realpath(work / "best.pt")}
    assert clear_up(before, take(str(work)), known) == []
    assert len(clear_up(before, take(str(work)), ())) == 1


def test_put_back_from_what_was_changed_before_is_told(work: Path) -> None:
    before = take(str(work))
    (work / "best.pt").write_text("by another program, before the guard met it")
    (told,) = clear_up(before, take(str(work)), {os.path.realpath(work / "best.pt")})
    assert "could not be put back" in told
