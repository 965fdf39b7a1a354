"""The black box: what the last steps saw, written out when something goes wrong, so that the step can be run again.

box = dnndoctor.recorder.black_box.load(".dnndoctor/train.step120.box")
box.restore(model, optimizer)                     # weights, optimizer and random streams as that step began
x, y = box.batch or box.fetch(train_data)         # the same batch, kept or fetched again by its indices
loss_fn(model(x), y).backward()                   # what went wrong goes wrong again, bit for bit
"""

from dnndoctor.recorder.black_box.box import Batch, Box, Step, load
from dnndoctor.recorder.black_box.recording import BlackBox
from dnndoctor.recorder.black_box.samples import digest

__all__ = ["Batch", "BlackBox", "Box", "Step", "digest", "load"]
