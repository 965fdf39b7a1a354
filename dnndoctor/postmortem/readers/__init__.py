"""One reader per kind of file, in the order in which they are asked whether a file is theirs."""

from __future__ import annotations

from dnndoctor.postmortem.log import Reader
from dnndoctor.postmortem.readers import mlflow_store, recordings, tables, tensorboard, text, wandb_offline

READERS: tuple[Reader, ...] = (
    *recordings.READERS,
    *mlflow_store.READERS,
    *tensorboard.READERS,
    *wandb_offline.READERS,
    *tables.READERS,
    *text.READERS,
)
