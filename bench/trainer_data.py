"""What unpacking costs in time and disk, and that more data than memory is trained on and transferred.

Archives: time of unpacking while downloading over the longer of download alone and unpacking alone, where both take
equally long (any other proportion is easier); the most disk that is used meanwhile over the size of what comes out.
Memory: a training on 2 GiB of pixels by a process that may have 1.5 GiB of its own, and, as a control, the same process with
everything read into one array. Transfers: files larger than all the memory that the process may have, up, down, and unpacked on
their way down; the control holds the file.
"""

import gzip
import io
import os
import statistics
import struct
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench import trainer_upload as upload
from bench.trainer_memory import limited
from bench.trainer_row import Row
from trainer.archives import unpack
from trainer.ranged import Ranged

_FILES, _FILE_BYTES = 400, 300_000
_ROUNDS_FOR_ONE = 3  # a round of an archive is a second: whatever else the machine does shows in it
_SIDE, _IMAGES = 128, 43_700  # 2 GiB of pixels in colour
_LIMIT = 3 * 2**29
_LARGE, _LARGE_LIMIT = 3 * 2**28, 2**29  # 768 MiB a file, 512 MiB for the process
_PART = 2**20  # smaller than in use, for an archive that is smaller than in use


def _content() -> list[tuple[str, bytes]]:
    """Return files as large as photographs, which deflate makes about half as large."""
    random = np.random.default_rng(0)
    found = random.integers(0, 16, (_FILES, _FILE_BYTES), dtype=np.uint8)
    return [(f"train/{n % 10}/{n:05}.raw", row.tobytes()) for n, row in enumerate(found)]


def _archives() -> dict[str, bytes]:
    tarred, zipped = io.BytesIO(), io.BytesIO()
    with (
        tarfile.open(fileobj=tarred, mode="w") as tar,
        zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as zip_,
    ):
        for name, content in _content():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            zip_.writestr(name, content)
    plain = tarred.getvalue()
    return {"tar": plain, "tar.gz": gzip.compress(plain, 6), "zip": zipped.getvalue()}


def _afar(content: bytes, rate: float) -> Ranged:
    """Return a stream that brings `rate` bytes a second, however many parts are asked for at once."""
    line = threading.Lock()

    def fetch(first: int, last: int) -> bytes:
        with line:
            time.sleep((last - first + 1) / rate)
        return content[first : last + 1]

    return Ranged(len(content), fetch, part=_PART)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _unpacked(stream: Ranged | io.BytesIO, kind: str, size: int, watch: list[float] | None = None) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        done = threading.Event()
        thread = threading.Thread(target=_watch, args=(Path(folder), done, watch))
        if watch is not None:
            thread.start()
        took = _timed(lambda: unpack.unpack(stream, kind, size, kind, Path(folder) / "out"))
        done.set()
        if watch is not None:
            thread.join()
        return took


def _watch(folder: Path, done: threading.Event, most: list[float]) -> None:
    while not done.wait(0.02):
        found = [Path(above) / name for above, _, names in os.walk(folder) for name in names]
        most.append(sum(path.stat().st_size for path in found))


def archives(rounds: int, folder: Path) -> list[Row]:
    """Measure time and disk of each kind of archive."""
    rows = []
    for kind, content in _archives().items():
        ratios, peak = [], [0.0]
        for _ in range(_ROUNDS_FOR_ONE * rounds):
            alone = _unpacked(io.BytesIO(content), kind, len(content))
            rate = len(content) / alone
            with _afar(content, rate) as stream:
                download = _timed(stream.read)
            with _afar(content, rate) as stream:
                ratios.append(_unpacked(stream, kind, len(content)) / max(download, alone))
        with _afar(content, rate) as stream:
            _unpacked(stream, kind, len(content), peak)
        disk = max(peak) / (_FILES * _FILE_BYTES)
        time_kept, disk_kept = statistics.median(ratios) <= 1.1, 0.5 < disk <= 1.05
        print(f"  {kind:<7} {len(content) / 1e6:.0f} MB, unpacked alone in {alone:.2f} s", flush=True)
        rows.append(Row(f"{kind}: time over max(download, unpack)", ratios, "<= 1.1", time_kept))
        rows.append(Row(f"{kind}: peak disk over what comes out", [disk], "<= 1.05", disk_kept))
    return rows


def _png(pixels: np.ndarray) -> bytes:
    from trainer.report.pictures import png

    return png(pixels)


def _write(kind: str, folder: Path) -> None:
    """Write `_IMAGES` images of two classes, and a few to test, as images, TFRecord or IDX."""
    bright = [np.full((_SIDE, _SIDE, 3), value, np.uint8) for value in (40, 210)]
    files = [_png(image) for image in bright]
    if kind == "idx":
        for part, count in (("train", _IMAGES), ("t10k", 100)):
            with (folder / f"{part}-images-idx4-ubyte").open("wb") as stream:
                stream.write(struct.pack(">HBB4I", 0, 8, 4, count, _SIDE, _SIDE, 3))
                for number in range(count):
                    stream.write(bright[number % 2].tobytes())
            labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(number % 2 for number in range(count))
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    elif kind == "images":
        for part, count in (("train", _IMAGES), ("test", 100)):
            for number in range(count):
                path = folder / part / "ab"[number % 2] / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files[number % 2])
    else:
        from trainer.tf import tensorflow

        tf = tensorflow()
        for part, count in (("train", _IMAGES), ("test", 100)):
            with tf.io.TFRecordWriter(str(folder / f"d-{part}.tfrecord")) as writer:
                for number in range(count):
                    image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[files[number % 2]]))
                    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2]))
                    features = tf.train.Features(feature={"image": image, "label": label})
                    writer.write(tf.train.Example(features=features).SerializeToString())


def memory(rounds: int, folder: Path) -> list[Row]:
    """Measure the memory of a training on more data than memory, for each format."""
    pixels, rows = _IMAGES * _SIDE**2 * 3, []
    for kind in ("idx", "images", "tfrecord"):
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            there = Path(name)
            (there / "data").mkdir()
            _write(kind, there / "data")
            began = time.perf_counter()
            ours = limited(_LIMIT, "train", str(there / "data"), str(there / "model"))
            took = time.perf_counter() - began
            control = limited(_LIMIT, "read_whole", str(there / "data"))
        print(f"  {kind:<8} {pixels / 2**30:.1f} GiB of pixels, trained on in {took:.0f} s", flush=True)
        rows.append(_within(f"training on {kind}: own memory over pixels", ours, control, pixels, _LIMIT))
    return rows


def transfers(rounds: int, folder: Path) -> list[Row]:
    """Measure the memory of moving files that are larger than it."""
    rows = []
    with upload.store() as address, tempfile.TemporaryDirectory(prefix="bench-") as name:
        os.environ.update(upload.CREDENTIALS, AWS_ENDPOINT_URL=address)
        there = Path(name)
        files = [there / "one", there / "two"]
        for file in files:
            with file.open("wb") as stream:
                stream.truncate(_LARGE)
        ones, tar = f"ones-{_LARGE}", f"{_LARGE}.tar"
        cases = (
            ("upload of two files", ("upload", *map(str, files)), ("put_whole", str(files[0]))),
            (
                "download of a file",
                ("download", ones, str(there / "a")),
                ("get_whole", ones, str(there / "b")),
            ),
            (
                "download of an archive",
                ("download", tar, str(there / "c")),
                ("get_whole", tar, str(there / "d")),
            ),
        )
        for what, ours, control in cases:
            began = time.perf_counter()
            found = limited(_LARGE_LIMIT, *ours)
            print(f"  {what} of {_LARGE / 2**20:.0f} MiB in {time.perf_counter() - began:.1f} s", flush=True)
            whole = limited(_LARGE_LIMIT, *control)
            rows.append(_within(f"{what}: own memory over a file", found, whole, _LARGE, _LARGE_LIMIT))
        came = [
            (there / "a" / ones).stat().st_size,
            (there / "c" / str(_LARGE) / "train/zeros").stat().st_size,
        ]
        assert came == [_LARGE, _LARGE], f"{came} bytes came down where {_LARGE} were asked for"
    return rows


def _within(
    what: str, ours: tuple[int | None, str], control: tuple[int | None, str], size: int, limit: int
) -> Row:
    """Return the row of work within a limit below `size`, which a control that holds everything must not fit into."""
    most, words = ours
    told = f"failed: {words}" if most is None else ""
    if control[0] is not None:
        told = "the control fits too: the limit proves nothing"
    elif not any(name in control[1] for name in ("MemoryError", "ArrayMemoryError", "Unable to allocate")):
        told = f"the control failed otherwise: {control[1]}"
    told = told or f"at once: does not fit into {limit / 2**20:.0f} MiB"
    kept = most is not None and told.startswith("at once")
    return Row(what, [] if most is None else [most / size], f"<= {limit / size:.2f}", kept, control=told)
