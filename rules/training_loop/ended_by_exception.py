from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Course
from dnndoctor.rule import rule

# Part of the name or the message: what to do, and why that helps.
KNOWN = (
    (
        "out of memory",
        "take a smaller batch, and accumulate gradients over several",
        "Memory grows with the batch. Activation checkpointing and 16-bit precision save more of it.",
    ),
    (
        "outofmemory",
        "take a smaller batch, and accumulate gradients over several",
        "Memory grows with the batch. Activation checkpointing and 16-bit precision save more of it.",
    ),
    (
        "memory ran out",
        "let less stay in memory: fewer loader workers, a smaller batch, no list of losses that keep their graphs",
        "Where the system's memory runs out, the process that holds most of it is killed and cannot save anything.",
    ),
    (
        "device-side assert",
        "look for class indices or token ids beyond the number of outputs or of embeddings",
        "CUDA_LAUNCH_BLOCKING=1, or one batch on the CPU, names the line.",
    ),
    (
        "no space left",
        "free the disk, and keep fewer checkpoints",
        "Nothing that the run wrote after this is to be trusted: check the newest checkpoint.",
    ),
    (
        "dataloader worker",
        "look at the worker's own error above; with num_workers=0 it appears in the program itself",
        "A worker that was killed has mostly run out of memory, or of /dev/shm.",
    ),
    (
        "size mismatch",
        "compare the checkpoint with the model that it is loaded into",
        "A layer of another size was built, often a head with another number of classes.",
    ),
    (
        "nccl",
        "look at the other ranks' logs: the first one that failed has the cause",
        "A rank that stops leaves the others waiting until their time is up.",
    ),
)
BY_HAND = ("KeyboardInterrupt", "StopTraining", "SystemExit", "SIGHUP", "SIGINT", "SIGTERM")


@rule("LOP111", Severity.ERROR, practice="training-loop")
def ended_by_exception(course: Course, *, latest: float = 1.0) -> Iterator[Finding]:
    """The program ended with an exception, or was killed.

    What it measures
        The last exception in what the program printed, at the end of a traceback. Of a recorded run: what was raised
        through the whole program, or the signal that ended it.

    Why it matters
        The run is shorter than it was meant to be, and its last weights may never have been written.

    How to fix it
        Mend the line that the traceback names, and go on from the last checkpoint.

    When to ignore it
        The exception was caught, and training went on.

    References
        Python documentation, "Errors and Exceptions", section 8.2.
        latest: 1.0, arithmetic: nothing may be logged below it.
    """
    if course.exception is None:
        raise NotApplicable("the log holds no exception")
    place = course.exception_place
    after = max((int(each.line.max()) for each in course.curves if place and each.file == place.file), default=0)
    if place is not None and after > latest * place.line:
        raise NotApplicable("training went on after the exception")
    said = f"{course.exception}: {course.exception_message}".rstrip(": ")
    kept = course.resume(float("inf"))
    start = f"; then go on from {kept.path} ({course.at(kept.step)})" if kept is not None else ""
    by_hand = course.exception.rpartition(".")[2] in BY_HAND
    what, why = next(
        ((what, why) for word, what, why in KNOWN if word in said.lower()),
        ("mend the line that its traceback names", ""),
    )
    yield Finding(
        f"the program ended with {said[:160]} after {course.at(course.last_step)}",
        location=place,
        subject=course.exception,
        evidence=(Evidence(f"last {course.unit} that was logged", course.last_step),),
        fix=Fix(f"{what}{start}", why),
        severity=Severity.INFO if by_hand else Severity.ERROR,
    )
