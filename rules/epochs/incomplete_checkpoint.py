from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Habits, Saved, Schedules
from dnndoctor.rule import rule


@rule("EPO105", Severity.INFO, practice="epochs")
def incomplete_checkpoint(habits: Habits, schedules: Schedules, *, fewest: int = 1) -> Iterator[Finding]:
    """A checkpoint that is saved in the loop cannot be gone on from.

    What it measures
        What ``torch.save`` is given inside of a loop, and whether the optimizer's state, and the scheduler's where
        there is one, is among it. What is saved under a condition or after training is a model for use, and not meant.

    Why it matters
        Without Adam's moments, and at the first rate again, the loss jumps as training goes on.

    How to fix it
        Save a dictionary of the states of model, optimizer and scheduler, the epoch and the random state.

    When to ignore it
        Nobody goes on from it.

    References
        PyTorch tutorials, "Saving and loading a general checkpoint for inference and/or resuming training".
        fewest: 1, PyTorch tutorials: the optimizer's state at least.
    """
    if not habits.saved:
        raise NotApplicable("nothing is saved by torch.save")
    regular = [each for each in habits.saved if each.in_loop and not each.conditional and "state_dict" in each.what]
    for each in regular:
        missing = _missing(each, bool(schedules.all), " ".join(other.what for other in habits.saved))
        if len(missing) < fewest:
            continue
        yield Finding(
            f"the checkpoint of each period holds no state of the {' and the '.join(missing)}",
            location=each.location,
            subject="checkpoint",
            evidence=(Evidence("states that are missing", len(missing), 0),),
            fix=Fix(
                "save all that training needs to go on",
                "Training goes on as if it had not been stopped.",
                "torch.save({'epoch': epoch, 'model': model.state_dict(), 'optimizer': optimizer.state_dict(),\n"
                "            'scheduler': scheduler.state_dict(), 'rng': torch.get_rng_state()}, path)",
            ),
        )


def _missing(one: Saved, scheduled: bool, every: str) -> list[str]:
    """``every``: what all saves of the script are given, since the states may go into files of their own."""
    missing = [] if "opt" in every.lower() else ["optimizer"]
    return missing + (["scheduler"] if scheduled and "sched" not in every.lower() and one.what else [])
