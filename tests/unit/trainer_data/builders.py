"""Data sets in the making, each format written independently of the code under test."""

import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def told(raised: Any, folder: Path) -> str:
    """Return an error's words, names of files as they are below `folder`."""
    return str(raised.value).replace(f"{folder}/", "")


def pictures(count: int, height: int = 6, width: int = 5, channels: int = 1, seed: int = 0) -> np.ndarray:
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Return an image [height, width, 1 or 3] as PNG, every row unfiltered."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def jpeg(pixels: np.ndarray) -> bytes:
    from trainer.tf import tensorflow

    content: bytes = tensorflow().io.encode_jpeg(pixels, quality=100).numpy()
    return content


def record_file(records: Sequence[bytes]) -> bytes:
    """Return a TFRecord file."""
    return b"".join(
        (length := struct.pack("<Q", len(each))) + _masked(length) + each + _masked(each) for each in records
    )


def _masked(content: bytes) -> bytes:
    crc = _crc32c(content)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _step(number: int) -> int:
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    return number


_TABLE = [_step(number) for number in range(256)]


def _crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def example(image: bytes, label: int, image_name: str = "image") -> bytes:
    """Return a serialised tf.train.Example, as protocol buffers are encoded."""
    features = _field(1, _feature(image_name, _field(1, _field(1, image))))
    features += _field(1, _feature("label", _field(3, _field(1, _varint(label)))))
    return _field(1, features)


def _feature(name: str, value: bytes) -> bytes:
    return _field(1, name.encode()) + _field(2, value)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
    return found + bytes([number])


def written(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def image_folder(images: np.ndarray, labels: Sequence[str], prefix: str = "") -> dict[str, bytes]:
    return {
        f"{prefix}{label}/{n:04}.png": png(image)
        for n, (image, label) in enumerate(zip(images, labels, strict=True))
    }


def prepared(train: int = 9, test: int = 6, classes: int = 3, shards: int = 2) -> dict[str, bytes | str]:
    """Return a folder as TensorFlow Datasets prepares it: MNIST's layout, small."""
    files: dict[str, bytes | str] = {}
    splits = []
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        images = pictures(count, seed=seed)
        records = [example(png(image), n % classes) for n, image in enumerate(images)]
        parts = [records[begin::shards] for begin in range(shards)]
        splits.append({"name": split, "shardLengths": [str(len(part)) for part in parts]})
        for n, part in enumerate(parts):
            files[f"tiny/3.0.1/tiny-{split}.tfrecord-{n:05}-of-{shards:05}"] = record_file(part)
    files["tiny/3.0.1/label.labels.txt"] = "".join(f"{name}\n" for name in ("nil", "one", "two")[:classes])
    files["tiny/3.0.1/dataset_info.json"] = json.dumps({"name": "tiny", "splits": splits})
    files["tiny/3.0.1/features.json"] = "{}"
    return files


def csv(rows: Sequence[Sequence[object]], header: str = "age,job,label") -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows), ""])


def people(count: int, seed: int = 0) -> list[list[object]]:
    """Return rows of age, job and whether they like it, which follows from both."""
    chance = np.random.default_rng(seed)
    ages, jobs = chance.integers(18, 80, count), chance.choice(["clerk", "chef", "pilot"], count)
    return [
        [age, job, "yes" if (age > 45) != (job == "pilot") else "no"]
        for age, job in zip(ages, jobs, strict=True)
    ]


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()
