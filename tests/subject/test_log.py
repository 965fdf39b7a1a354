from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dnndoctor.subject.log import BoundedLog, Pump


def logged(path: Path, chunks: list[bytes], kept: int) -> bytes:
    log = BoundedLog(str(path), kept)
    for each in chunks:
        log.write(each)
    log.close()
    return path.read_bytes()


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_what_fits_is_kept_as_it_is(tmp_path: Path, size: int) -> None:
    text = bytes(range(200))
    assert logged(tmp_path / "log", [text[i : i + size] for i in range(0, 200, size)], 100) == text


@pytest.mark.parametrize("size", [1, 3, 100, 1000])
def test_of_more_the_beginning_and_the_end_are_kept(tmp_path: Path, size: int) -> None:
    text = b"".join(b"%04d " % i for i in range(200))
    kept = logged(tmp_path / "log", [text[i : i + size] for i in range(0, 1000, size)], 100)
    assert kept == text[:100] + b"\n... 800 bytes of output left out ...\n" + text[-100:]


def test_a_pump_keeps_up_and_holds_little(tmp_path: Path) -> None:
    pump = Pump(str(tmp_path / "log"))
    for _ in range(100):
        os.write(pump.writing, b"x" * (1 << 20))
    pump.started()
    pump.finish()
    assert (tmp_path / "log").stat().st_size < (1 << 21) + 100


def test_a_writer_that_stays_does_not_hold_us_up(tmp_path: Path) -> None:
    pump = Pump(str(tmp_path / "log"))
    os.write(pump.writing, b"told")
    began = time.monotonic()
    pump.finish(0.3)
    os.close(pump.writing)
    assert time.monotonic() - began < 2
    assert (tmp_path / "log").read_bytes() == b"told"


def test_a_full_disk_does_not_stop_the_program() -> None:
    log = BoundedLog("/dev/full", 100)
    log.write(b"x" * 1000)
    log.close()
