"""What unpacking costs in time and disk, and that more data than memory is trained on.

    python -m bench.trainer_data [archives] [memory] [--rounds 5]

archives: time of unpacking while downloading over the longer of download alone and unpacking alone, where both take
equally long (any other proportion is easier); the most disk that is used meanwhile over the size of what comes out.
Target: 1.1 and 1.05.
memory: a training on 2 GiB of pixels by a process that may have 1.5 GiB of memory of its own (RLIMIT_DATA), and, as
a control, the same process with everything read into one array.
"""

import argparse
import gzip
import io
import os
import resource
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trainer.archives import unpack
from trainer.ranged import Ranged

_FILES, _FILE_BYTES = 400, 300_000
_SIDE, _IMAGES = 128, 43_700  # 2 GiB of pixels in colour
_LIMIT = 3 * 2**29
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


def archives(rounds: int) -> None:
    """Print the ratios of each kind of archive."""
    extracted = _FILES * _FILE_BYTES
    for kind, content in _archives().items():
        times: list[tuple[float, float, float]] = []
        peak: list[float] = []
        for _ in range(rounds):
            alone = _unpacked(io.BytesIO(content), kind, len(content))
            rate = len(content) / alone
            with _afar(content, rate) as stream:
                download = _timed(stream.read)
            with _afar(content, rate) as stream:
                times.append((download, alone, _unpacked(stream, kind, len(content))))
        with _afar(content, rate) as stream:
            _unpacked(stream, kind, len(content), peak)
        ratios = [both / max(download, alone) for download, alone, both in times]
        print(
            f"{kind:7} {len(content) / 1e6:6.0f} MB  alone {statistics.median(t[1] for t in times):.2f} s"
            f"  time ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            f"  peak disk ratio {max([*peak, 0]) / extracted:.3f}",
            flush=True,
        )


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


_CHILD = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))
from trainer.steps import train
if {whole}:
    import numpy as np
    from trainer import data
    found, _ = data.read(Path({data!r})).data_set()
    print(np.array(found.train.inputs).nbytes)
else:
    parameters = dict(network="dense", hiddenUnits=2, epochs=1, augmentation=0.0, learningRate=1e-4)
    train.run(Path({data!r}), Path({model!r}), "trainer.recipes.image_classifier", parameters)
with open("/proc/self/status") as status:
    print(*(line.strip() for line in status if line.startswith(("VmHWM", "VmData"))))
"""


def _child(folder: Path, whole: bool) -> subprocess.CompletedProcess[str]:
    source = _CHILD.format(limit=_LIMIT, whole=whole, data=str(folder / "data"), model=str(folder / "model"))
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)


def memory() -> None:
    """Print how a training on more data than memory goes, for each format."""
    pixels = _IMAGES * _SIDE**2 * 3
    print(f"{pixels / 2**30:.1f} GiB of pixels, at most {_LIMIT / 2**30:.1f} GiB of memory of its own")
    for kind in ("idx", "images", "tfrecord"):
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            (folder / "data").mkdir()
            _write(kind, folder / "data")
            began = time.perf_counter()
            done = _child(folder, whole=False)
            took = time.perf_counter() - began
            control = _child(folder, whole=True)
        fine = "trained" if done.returncode == 0 else f"FAILED: {done.stderr[-300:]}"
        other = (
            "fits, the limit proves nothing" if control.returncode == 0 else "does not fit, as it should be"
        )
        print(
            f"{kind:9} {fine} in {took:.0f} s, {done.stdout.strip().splitlines()[-1]}; as one array: {other}",
            flush=True,
        )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.trainer_data", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("what", nargs="*", default=["archives", "memory"], help="archives, memory (both)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if "archives" in given.what:
        archives(given.rounds)
    if "memory" in given.what:
        memory()


if __name__ == "__main__":
    main()
