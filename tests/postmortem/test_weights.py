"""Checkpoints of every layout are read, and hostile ones do nothing but cost a line."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dnndoctor.postmortem.log import Unreadable
from dnndoctor.postmortem.search import search
from dnndoctor.postmortem.weights.ask import weights_of
from dnndoctor.postmortem.weights.distributed import Pieces, _Piece
from dnndoctor.postmortem.weights.guard import files_of
from dnndoctor.postmortem.weights.tensors import read


def a_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


NAMES = ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize("layout", ["bare", "model", "lightning", "legacy"])
def test_layouts_of_torch(tmp_path: Path, layout: str) -> None:
    model, file = a_model(), tmp_path / "a.pt"
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    model(torch.zeros(1, 4)).sum().backward()
    optimizer.step()
    state: dict[str, Any] = model.state_dict()
    if layout == "model":
        state = {"model": state, "optimizer": optimizer.state_dict(), "step": 7}
    if layout == "lightning":
        state = {"state_dict": state, "optimizer_states": [optimizer.state_dict()], "global_step": 7, "epoch": 1}
    torch.save(state, file, _use_new_zipfile_serialization=layout != "legacy")
    found = read(file)
    assert list(found.sources) == NAMES
    if layout in ("model", "lightning"):
        assert found.facts["step"] == 7
        assert (found.facts["held"], found.facts["learning_rate"]) == (4, 0.01)


def test_shards_with_an_index(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = a_model().state_dict()
    shards = {"m-00001-of-00002.safetensors": NAMES[:2], "m-00002-of-00002.safetensors": NAMES[2:]}
    for shard, names in shards.items():
        save_file({name: state[name] for name in names}, tmp_path / shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: shard for shard, names in shards.items() for name in names}}))
    assert sorted(read(index).sources) == sorted(NAMES)


def test_two_checkpoints_tell_what_moved(tmp_path: Path) -> None:
    model, files = a_model(), [tmp_path / "1.pt", tmp_path / "2.pt"]
    torch.save(model.state_dict(), files[0])
    with torch.no_grad():
        model[0].weight += 0.5  # type: ignore[index]
        model[2].bias[0] = torch.nan  # type: ignore[index]
    torch.save(model.state_dict(), files[1])
    told, notes = weights_of(files)
    assert notes == []
    moved = {each["name"]: each["moved"] for each in told[1]["tensors"]}
    assert moved["0.weight"] == pytest.approx(0.5 * 32**0.5)
    assert moved["0.bias"] == 0
    assert [each["bad"] for each in told[1]["tensors"]] == [0, 0, 0, 1]


class Evil:
    """Would leave a trace if anything of it were run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


def spread_over(size: int) -> torch.Tensor:
    return torch.zeros(1).expand(size)


def hostile(folder: Path, kind: str) -> Path:
    file, trace = folder / "evil.pt", folder / "trace"
    if kind == "pickle":
        torch.save({"model": Evil(trace)}, file)
    elif kind == "legacy pickle":
        torch.save({"model": Evil(trace)}, file, _use_new_zipfile_serialization=False)
    elif kind == "bare pickle":
        file.write_bytes(pickle.dumps(Evil(trace)))
    elif kind == "whole model":
        torch.save(a_model(), file)
    elif kind == "zip bomb":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/data.pkl", b"\0" * 100_000_000)
    elif kind == "truncated":
        torch.save(a_model().state_dict(), file)
        file.write_bytes(file.read_bytes()[:-200])
    elif kind == "random":
        file.write_bytes(os.urandom(5000))
    elif kind == "empty":
        file.touch()
    elif kind == "huge claim":
        torch.save({"a": spread_over(1 << 50)}, file)
    elif kind == "script":
        torch.jit.script(nn.Linear(2, 2)).save(str(file))  # type: ignore[no-untyped-call]
    return file


@pytest.mark.parametrize(
    "kind",
    ["pickle", "legacy pickle", "bare pickle", "whole model", "zip bomb", "truncated", "random", "empty", "script"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_hostile_or_broken_is_one_line(tmp_path: Path, kind: str) -> None:
    file = hostile(tmp_path, kind)
    with pytest.raises(Unreadable) as why:
        read(file)
    assert "evil.pt" in str(why.value)
    assert "\n" not in str(why.value)
    assert os.listdir(tmp_path) == ["evil.pt"]
    if kind in ("pickle", "whole model"):
        assert "would run code" in str(why.value)
        assert "torch.save(" in str(why.value)


def test_hostile_ones_beside_a_sound_one_in_the_process_of_their_own(tmp_path: Path) -> None:
    sound = tmp_path / "sound.pt"
    torch.save(a_model().state_dict(), sound)
    told, notes = weights_of([hostile(tmp_path, "huge claim"), sound])
    assert told[0]["tensors"] == []  # one number that claims to be 10^15
    assert told[1]["path"] == str(sound)
    assert notes == []
    told, notes = weights_of([hostile(tmp_path, "bare pickle"), sound])
    assert (len(told), len(notes)) == (1, 1)
    assert sorted(os.listdir(tmp_path)) == ["evil.pt", "sound.pt"]


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "gone.safetensors"])
def test_an_index_that_leads_elsewhere(tmp_path: Path, shard: str) -> None:
    folder = tmp_path / "ckpt"
    folder.mkdir()
    (tmp_path / "secret.safetensors").touch()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(Unreadable, match=r"outside of its own folder|is missing"):
        files_of(index)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ckpt"
    folder.mkdir()
    (tmp_path / "secret").touch()
    (folder / "shard.safetensors").symlink_to(tmp_path / "secret")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "shard.safetensors"}}))
    with pytest.raises(Unreadable, match="outside"):
        files_of(index)


def saved_in_pieces(folder: Path, step: int = 7) -> nn.Module:
    """As torch.distributed.checkpoint writes it; its index stands in ``.metadata``."""
    checkpoint = pytest.importorskip("torch.distributed.checkpoint")
    model = a_model()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    checkpoint.save(state, checkpoint_id=folder, no_dist=True)
    return model


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_torch_distributed(tmp_path: Path) -> None:
    model = saved_in_pieces(tmp_path / "step-7")
    found = read(tmp_path / "step-7")
    assert sorted(found.sources) == sorted(f"model.{each}" for each in NAMES)
    assert found.facts["step"] == 7
    for name, tensor in model.state_dict().items():
        kept = found.tensor(f"model.{name}")
        assert kept is not None
        assert torch.equal(kept, tensor)


@pytest.mark.filterwarnings("ignore")
def test_folders_of_torch_distributed_are_found_and_compared(tmp_path: Path) -> None:
    for step in (10, 20):
        saved_in_pieces(tmp_path / f"step-{step}", step)
    found = search([tmp_path])
    assert [each.name for each in found.checkpoints] == ["step-10", "step-20"]
    assert search([tmp_path / "step-10"]).checkpoints == [tmp_path / "step-10"]
    told, notes = weights_of(found.checkpoints)
    assert notes == []
    assert [each["facts"]["step"] for each in told] == [10, 20]
    assert all(each["moved"] == 0.0 for each in told[1]["tensors"])


def test_tensors_in_pieces_are_put_together(tmp_path: Path) -> None:
    files: list[Path] = []
    for part in (torch.ones(2, 3), torch.full((2, 3), 2.0)):
        file = tmp_path / f"{len(files)}.distcp"
        torch.save(part, file)
        files.append(file)
    pieces = [_Piece(file, 0, file.stat().st_size, (2 * n, 0)) for n, file in enumerate(files)]
    source = Pieces(tmp_path, {"a": (4, 3), "b": (9, 3)}, places={"a": pieces, "b": pieces})
    assert source.get("a")[:, 0].tolist() == [1.0, 1.0, 2.0, 2.0]
    with pytest.raises(Unreadable, match="pieces of b are missing"):
        source.get("b")


class NamesAFile:
    """An index that calls a function as it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("kind", ["hostile", "random", "truncated", "elsewhere", "gone", "short"])
@pytest.mark.filterwarnings("ignore")
def test_hostile_and_broken_folders_of_torch_distributed_are_one_line(tmp_path: Path, kind: str) -> None:
    folder, trace = tmp_path / "step-7", tmp_path / "trace"
    saved_in_pieces(folder)
    index, [data] = folder / ".metadata", list(folder.glob("*.distcp"))
    if kind == "hostile":
        index.write_bytes(pickle.dumps({"state_dict_metadata": NamesAFile(trace)}))
    elif kind == "random":
        index.write_bytes(os.urandom(500))
    elif kind == "truncated":
        index.write_bytes(index.read_bytes()[:-100])
    elif kind == "elsewhere":
        name = data.name.encode()
        index.write_bytes(index.read_bytes().replace(name, b"/" + name[1:]))
    elif kind == "gone":
        data.unlink()
    elif kind == "short":
        data.write_bytes(data.read_bytes()[:100])
    told, [note] = weights_of([folder])
    assert told == []
    assert str(folder) in note
    assert "\n" not in note
    assert not trace.exists()
    if kind == "hostile":
        assert "mkdir" in note
        assert "dcp_to_torch" in note
