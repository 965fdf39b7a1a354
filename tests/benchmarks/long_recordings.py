"""What very long runs cost: a recording of a million steps written, opened and judged; one of ten million kept small.

Prints seconds (of processors and of the clock), bytes and memory beside what was promised, and fails where it is more.
``python -m tests.benchmarks.long_recordings [log]``: with ``log`` also a log of a million lines.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dnndoctor.recorder.store import Store

MILLION = 1_000_000
LAYERS, LOOK_EVERY = 30, 50
SECONDS, MEGABYTES = 10.0, 1000.0  # for opening and judging a million steps
LIMIT = 200_000_000
JUDGE = """
import resource, sys, time
from pathlib import Path
from dnndoctor.config import Settings
from dnndoctor.examination import examine_logs, rediagnose
path, began, spent = Path(sys.argv[1]), time.perf_counter(), time.process_time()
flight = path.suffix == ".dnnrec"
found = rediagnose(path, Settings()) if flight else examine_logs([path], Settings(root=str(path.parent)))
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(time.perf_counter() - began, time.process_time() - spent, memory, found.target.outcome)
"""


def fill(path: Path, steps: int, layers: int) -> Store:
    """A recording as a training of so many steps leaves it."""
    store = Store(path, limit_bytes=LIMIT)
    store.run(kind="flight", unit="step", outcome="examined", script="train.py")
    loss, norm = store.series("loss", "loss"), store.series("gradient norm", "gradient norm")
    names = [f"layers.{number}.weight" for number in range(layers)]
    kinds = (("gradient", "rms"), ("update", "ratio"), ("weight", "rms"))
    seen = [store.series(f"{role} of {name}", role, parameter=name, statistic=what)
            for role, what in kinds for name in names]  # fmt: skip
    noise = np.random.default_rng(0).standard_normal(MILLION)
    for step in range(steps):
        value = 2 * math.exp(-3 * step / steps) + 0.3 + 0.05 * noise[step % MILLION]
        store.add(step, step / 100, (loss, norm), (value, 1 + 0.1 * noise[-1 - step % MILLION]))
        if seen and step % LOOK_EVERY == 0:
            start = step % (MILLION - len(seen))
            store.add(step, step / 100, seen, np.abs(noise[start : start + len(seen)]).tolist())
    return store


def judged(path: Path, what: str) -> bool:
    """Judge it in a process of its own, tell what that cost, and whether it is within what was promised."""
    done = subprocess.run([sys.executable, "-c", JUDGE, str(path)], capture_output=True, text=True, check=True)
    clock, processor, memory, outcome = done.stdout.split()
    print(f"{what}: judged in {float(clock):.1f} s ({float(processor):.1f} s of a processor; {SECONDS:.0f}), "
          f"{float(memory):.0f} MB ({MEGABYTES:.0f}), {outcome}")  # fmt: skip
    return float(processor) <= SECONDS and float(memory) <= MEGABYTES


def main() -> int:
    """Gives 1 where a promise is not kept."""
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        for steps, layers in ((MILLION, LAYERS), (10 * MILLION, 0)):
            path = Path(folder, f"{steps}.dnnrec")
            began = time.perf_counter()
            store = fill(path, steps, layers)
            store.close()
            size, memory = path.stat().st_size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            seconds, writing = time.perf_counter() - began, store.seconds / steps * 1e6
            print(f"{steps:,} steps: written in {seconds:.0f} s, {writing:.1f} us of the writing thread per step")
            print(f"    {size / 1e6:.0f} MB, {memory:.0f} MB of memory")
            kept &= size <= LIMIT and memory <= MEGABYTES
            kept &= judged(path, f"{steps:,} steps")
        if "log" in sys.argv[1:]:
            log = Path(folder, "train.log")
            with log.open("w") as file:
                for step in range(MILLION):
                    file.write(f"step {step} loss {2 / (1 + step / 1e5) + 0.3:.5f} lr {1e-3:.3e} grad_norm 1.2345\n")
            kept &= judged(log, f"{MILLION:,} lines")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
