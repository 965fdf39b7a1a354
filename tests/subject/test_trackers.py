from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from dnndoctor.subject.trackers import environment

if TYPE_CHECKING:
    from pathlib import Path

SERVERS = {
    "WANDB_MODE": "online",
    "WANDB_BASE_URL": "https://wandb.example",
    "WANDB_API_KEY": "secret",
    "MLFLOW_TRACKING_URI": "http://mlflow.example",
    "NEPTUNE_MODE": "async",
    "PATH": "/bin",
}


def test_servers_of_the_user_are_overruled(tmp_path: Path) -> None:
    found = environment(str(tmp_path), SERVERS)
    assert not any("example" in value for value in found.values())
    assert "WANDB_API_KEY" not in found
    assert found["WANDB_MODE"] == "disabled"
    assert found["MLFLOW_TRACKING_URI"].startswith(f"file:{tmp_path}")
    assert found["PATH"] == "/bin"


def test_what_the_script_says_itself_is_overruled(tmp_path: Path) -> None:
    (tmp_path / "wandb.py").write_text("def init(project=None, mode=None): print('wandb', project, mode)\n")
    (tmp_path / "mlflow.py").write_text("def set_tracking_uri(uri): print('mlflow', uri)\n")
    (tmp_path / "comet_ml.py").write_text(
        "class Experiment:\n    def __init__(self, key=None, disabled=False): print('comet', disabled)\n"
        "class Offline(Experiment): pass\n"
    )
    code = (
        "import sys; from dnndoctor.subject import trackers; trackers.install('/scratch')\n"
        "import wandb, mlflow, comet_ml\n"
        "wandb.init('p', mode='online'); mlflow.set_tracking_uri('http://x'); comet_ml.Experiment('key')\n"
        "assert isinstance(comet_ml.Experiment, type)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "wandb p disabled\nmlflow file:/scratch/trackers/mlflow\ncomet True\n"
