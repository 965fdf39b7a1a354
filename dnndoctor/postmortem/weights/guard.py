"""What is looked at in a checkpoint's file before anything opens it as one."""

from __future__ import annotations

import zipfile
from pathlib import Path

from dnndoctor.postmortem.log import Unreadable
from dnndoctor.postmortem.readers.tables import whole_json

LARGEST_PICKLE = 1 << 28  # the structure without the numbers
MOST_ENTRIES = 200_000
LARGEST_LEGACY = 1 << 31  # such files cannot be mapped, and are held in memory as a whole
INDEX = ".index.json"


def files_of(path: Path) -> list[Path]:
    """The files that a checkpoint consists of: itself, or the shards that its index names.

    Raises Unreadable, for a shard outside of the index's own folder as well.
    """
    if not path.name.endswith(INDEX):
        return [path]
    found = whole_json(path)
    weights = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(weights, dict) or not weights or not all(isinstance(each, str) for each in weights.values()):
        raise Unreadable(f'{path}: is no index of shards: it holds no "weight_map"')
    shards = []
    for name in sorted(set(weights.values())):
        shard = path.parent / name
        if Path(name).name != name or not shard.resolve().is_relative_to(path.parent.resolve()):
            raise Unreadable(f"{path}: names a shard outside of its own folder ({name[:80]!r}) and is refused")
        if not shard.is_file():
            raise Unreadable(f"{path}: its shard {name[:80]} is missing")
        shards.append(shard)
    return shards


def check(file: Path) -> bool:
    """Whether a file that ``torch.save`` wrote can be mapped.

    Raises Unreadable for a file that is none, or that would unpack to more than it is.
    """
    size = file.stat().st_size
    if not size:
        raise Unreadable(f"{file}: is empty")
    if not zipfile.is_zipfile(file):
        _legacy(file, size)
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as why:
        raise Unreadable(f"{file}: is damaged: {' '.join(str(why).split())[:120]}") from None
    if len(entries) > MOST_ENTRIES:
        raise Unreadable(f"{file}: holds more than {MOST_ENTRIES:,} entries and is refused")
    if any(each.compress_type != zipfile.ZIP_STORED for each in entries) or sum(e.file_size for e in entries) > size:
        raise Unreadable(f"{file}: is compressed, as torch.save never does, and is refused")
    names = [each.filename for each in entries]
    if any("/code/" in each or each.endswith("/constants.pkl") for each in names):
        raise Unreadable(f"{file}: is a TorchScript program; save its weights: torch.save(model.state_dict(), path)")
    pickles = [each for each in entries if each.filename.endswith("data.pkl")]
    if not pickles:
        raise Unreadable(f"{file}: is an archive, but none of torch.save")
    if max(each.file_size for each in pickles) > LARGEST_PICKLE:
        raise Unreadable(f"{file}: its structure alone is larger than {LARGEST_PICKLE >> 20} MB; it is refused")
    return True


def _legacy(file: Path, size: int) -> None:
    with file.open("rb") as stream:
        head = stream.read(2)
    if head[:1] != b"\x80":
        raise Unreadable(f"{file}: is no checkpoint of torch.save, or was cut off")
    if size > LARGEST_LEGACY:
        raise Unreadable(
            f"{file}: is in torch's old format and too large for it; save it again with torch 1.6 or newer"
        )
