"""Run by every Python that an examined or recorded script starts, as its first module: waits for torch, then watches.

It costs a millisecond where torch is never imported. A ``sitecustomize`` of the user's own runs as it would without us.
Nothing of ours is imported, as the interpreter may be any other, and whatever goes wrong here stays unsaid.
"""

import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class AfterTorch:
    """Finds nothing itself; once torch is imported, the watch begins."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        """The spec of torch as the other finders give it."""
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        import importlib.util

        spec = importlib.util.find_spec("torch")
        execute = spec.loader.exec_module  # type: ignore[union-attr]

        def exec_module(module):  # type: ignore[no-untyped-def]
            execute(module)
            begin()

        spec.loader.exec_module = exec_module  # type: ignore[union-attr, method-assign]
        return spec


def begin() -> None:
    """Watch this process."""
    try:
        import importlib.util

        if importlib.util.find_spec("dnndoctor") is None:
            sys.path.append(os.environ["DNNDOCTOR_ROOT"])
        if os.environ.get("DNNDOCTOR_FLIGHT"):
            from dnndoctor.recorder.follow import begin as watch
        else:
            from dnndoctor.subject.follow import begin as watch

        watch()
    except BaseException:  # noqa: BLE001, S110 - an interpreter that cannot be watched runs on as it is
        pass


def run_theirs() -> None:
    """The module of this name that ours stands in front of."""
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or os.curdir) != HERE]
    ours = sys.modules.pop("sitecustomize")
    with contextlib.suppress(ImportError):
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    sys.modules.setdefault("sitecustomize", ours)  # the import of ours, which is under way, looks for it


if (os.environ.get("DNNDOCTOR_JOB") or os.environ.get("DNNDOCTOR_FLIGHT")) and os.environ.get(
    "DNNDOCTOR_FOLLOW"
) != "0":
    sys.meta_path.insert(0, AfterTorch())
run_theirs()
