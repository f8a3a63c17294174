"""Unpacking under watch: what may come of any archive whatever."""

import io
import os
import stat
import time
from pathlib import Path

from trainer.archives import unpack
from trainer.archives.limits import Limits
from trainer.errors import WrongInput

LIMITS = Limits(
    size=200_000,
    entries=50,
    ratio=50,
    ratio_from=20_000,
    depth=6,
    name_bytes=60,
    path_bytes=200,
    header_bytes=4_096,
    directory_bytes=50_000,
)
_SECONDS = 5.0  # of this process, not of a machine that others use too


def outcome(content: bytes, place: Path, limits: Limits = LIMITS) -> str:
    """Unpack `content` below `place` and return "" or the sentence; fail if any promise is broken."""
    outside = place / "outside"
    outside.mkdir(parents=True)
    (outside / "canary").write_bytes(b"alive")
    folder = place / "data" / "unpacked"
    began = time.process_time()
    said = _said(content, folder, limits)
    assert time.process_time() - began < _SECONDS
    assert "\n" not in said
    assert said.encode()
    assert sorted(path.relative_to(place).as_posix() for path in place.glob("*")) == ["data", "outside"]
    assert [path.name for path in (place / "data").iterdir()] in ([], ["unpacked"])
    assert [path.name for path in outside.iterdir()] == ["canary"]
    assert (outside / "canary").read_bytes() == b"alive"
    _check_inside(folder, limits)
    return said


def _said(content: bytes, folder: Path, limits: Limits) -> str:
    stream = io.BytesIO(content)
    folder.parent.mkdir()
    try:
        kind = unpack.kind(stream, "it.zip")
        if kind is None:
            return "no archive"
        unpack.unpack(stream, "zip" if kind == "npz" else kind, len(content), "it.zip", folder, limits)
    except WrongInput as error:
        return str(error)
    return "fine"


def _check_inside(folder: Path, limits: Limits) -> None:
    size = count = 0
    for above, folders, files in os.walk(folder):
        for name in folders + files:
            count += 1
            found = os.lstat(os.path.join(above, name))  # noqa: PTH118
            assert stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode), name
            assert found.st_nlink == 1 or stat.S_ISDIR(found.st_mode)
            assert not found.st_mode & (
                stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | 0o111 * stat.S_ISREG(found.st_mode)
            )
            assert len(os.fsencode(name)) <= limits.name_bytes
            size += found.st_size if stat.S_ISREG(found.st_mode) else 0
        assert len(Path(above).relative_to(folder).parts) <= limits.depth
    assert size <= limits.size
    assert count <= limits.entries
