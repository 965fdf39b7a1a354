"""The process that reads checkpoints: told the paths on standard input, it writes a line of JSON for each of them."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dnndoctor.postmortem.log import Unreadable
from dnndoctor.postmortem.weights import rows
from dnndoctor.postmortem.weights.tensors import Checkpoint, read

CHUNK = 1 << 22  # entries looked at in one go, so that a tensor larger than memory is no trouble
ROOM = 3 << 30  # bytes of memory beside what is mapped
FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect",
    "socket.bind", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.link", "os.symlink",
    "shutil.rmtree", "ctypes.dlopen",
)  # fmt: skip


def main() -> None:
    """Read, measure, tell."""
    asked = [Path(each) for each in json.loads(sys.stdin.read())]
    torch.set_num_threads(1)
    _shut(sum(_size(each) for each in asked))
    previous: Checkpoint | None = None
    for path in asked:
        try:
            found = read(path)
            ends = path in (asked[0], asked[-1])
            told = {"path": str(path), "facts": found.facts, "tensors": list(_measured(found, previous, ends))}
            previous = found
        except Unreadable as why:
            told = {"path": str(path), "problem": str(why)}
        except (MemoryError, RuntimeError, ValueError, OverflowError, RecursionError, OSError) as why:
            reason = " ".join(str(why).split())[:100]
            told = {"path": str(path), "problem": f"{path}: cannot be read ({type(why).__name__}: {reason})"}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.iterdir()) if path.is_dir() else path.stat().st_size


def _shut(mapped: int) -> None:
    """From here on no file can be written, no program started, and memory is bounded."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # no such limits on Windows
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        used = pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2 * mapped + ROOM,) * 2)
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        raise PermissionError(f"a checkpoint asked for {event}")
    if event == "open" and isinstance(args[1], str) and any(each in args[1] for each in "wax+"):
        raise PermissionError(f"a checkpoint asked to write {args[0]}")


def _measured(found: Checkpoint, previous: Checkpoint | None, ends: bool) -> Iterator[dict[str, Any]]:
    for name in found.sources:
        tensor = found.tensor(name)
        if tensor is None or not tensor.numel():
            continue
        before = previous.tensor(name) if previous is not None else None
        if before is not None and before.shape != tensor.shape:
            before = None
        yield {"name": name, "shape": list(tensor.shape), **_figures(tensor, before), **rows.facts(tensor, ends)}


def _figures(tensor: torch.Tensor, before: torch.Tensor | None) -> dict[str, Any]:
    squares = moved = largest = total = was = 0.0
    bad = zeros = 0
    now, then = tensor.reshape(-1), before.reshape(-1) if before is not None else None
    for start in range(0, now.numel(), CHUNK):
        part = now[start : start + CHUNK].double()
        finite = torch.isfinite(part)
        bad += int((~finite).sum())
        zeros += int((part == 0).sum())
        known = torch.where(finite, part, 0.0)
        squares += float((known * known).sum())
        total += float(known.sum())
        largest = max(largest, float(known.abs().max()))
        if then is not None:
            other = then[start : start + CHUNK].double()
            usable = finite & torch.isfinite(other)
            moved += float((torch.where(usable, part - other, 0.0) ** 2).sum())
            was += float((torch.where(usable, other, 0.0) ** 2).sum())
    count = now.numel()
    mean = total / count
    return {
        "norm": math.sqrt(squares),
        "mean": mean,
        "std": math.sqrt(max(squares / count - mean * mean, 0.0)),
        "max_abs": largest,
        "bad": bad,
        "zero_share": zeros / count,
        "moved": None if then is None else math.sqrt(moved),
        "was": None if then is None else math.sqrt(was),
    }


if __name__ == "__main__":
    main()
