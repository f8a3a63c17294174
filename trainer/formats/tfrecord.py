"""TFRecord files of tf.train.Examples with `image` (PNG or JPEG) and `label`, as TensorFlow Datasets prepares them.

A record is its length (8 bytes, little-endian), a checksum (4), the bytes, a checksum (4). Everything is read
once, which checks the checksums and finds where each record lies; later, records are read from there.
What lies beside the records is used where it is there: ``label.labels.txt`` (the classes' names) and
``dataset_info.json`` (how many records each part has).
"""

import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import dataset
from trainer.dataset import Examples, Parts
from trainer.errors import WrongInput
from trainer.folder import File, Folder
from trainer.formats import pictures
from trainer.formats.pictures import Sizes, Wanted
from trainer.formats.splits import TEST, TRAIN, VALIDATION, split_in
from trainer.progress import say
from trainer.reading import Reading
from trainer.rows import Rows
from trainer.tf import tensorflow

PARAMETERS = ("imageSize", "imageChannels")
_HEAD, _TAIL = 12, 4
_AT_ONCE = 32
_CLASS_NAMES = "label.labels.txt"
_INFO = "dataset_info.json"


@dataclass(frozen=True)
class Index:
    """Where each record lies, and what its label is.

    Attributes
    ----------
    file, offset, length
        int64 [n] each: which of the files, first byte and number of bytes.
    labels
        int64 [n].
    """

    file: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Records:
    """Records as a source of rows."""

    files: tuple[File, ...]
    index: Index
    wanted: Wanted

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.wanted.shape

    def read(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        some = [self._decoded(few) for few in pictures.chunks(numbers)]
        return np.concatenate(some) if some else np.empty((0, *self.row_shape), self.dtype)

    def _decoded(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return pictures.decoded(list(self.contents(numbers)), self.wanted, lambda at: self._name(numbers[at]))

    def contents(self, numbers: npt.NDArray[np.int64]) -> Iterator[bytes]:
        tf = tensorflow()
        for few in pictures.chunks(numbers):
            records = [self._record(number) for number in few]
            found = tf.io.parse_example(records, {"image": tf.io.FixedLenFeature([], tf.string)})
            yield from found["image"].numpy()

    def _record(self, number: np.int64) -> bytes:
        descriptor = _opened(self.files[self.index.file[number]].path)
        return os.pread(descriptor, int(self.index.length[number]), int(self.index.offset[number]))

    def _name(self, number: np.int64) -> str:
        file = self.index.file[number]
        return f"the image of record {number - np.searchsorted(self.index.file, file)} of {self.files[file]}"


@cache
def _opened(path: Path) -> int:
    """Descriptor of a file, open for as long as the process lives: records are read in any order, from any thread."""
    return os.open(path, os.O_RDONLY)


def recognised(names: Sequence[str]) -> bool:
    """Tell whether one of the files is named as TFRecord files are."""
    return any(_is_record_file(name) for name in names)


def _is_record_file(name: str) -> bool:
    return ".tfrecord" in name.rpartition("/")[2].lower()


def read(folder: Folder, names: Sequence[str], reading: Reading) -> Parts:
    """Return the data set in the TFRecord files among `names`."""
    files = [name for name in names if _is_record_file(name)]
    if not files:
        raise WrongInput(f"{folder} holds no TFRecord files (*.tfrecord*), only {names[0]}, …")
    by_split: dict[str, list[str]] = {}
    for name in files:
        by_split.setdefault(split_in(name) or TRAIN, []).append(name)
    _choose(by_split)
    sizes, indices = Sizes(), {}
    for split, some in by_split.items():
        indices[split] = _scanned([folder.file(name) for name in some], sizes)
    _check_counts(folder, names, {split: len(index.labels) for split, index in indices.items()})
    wanted = sizes.wanted(reading.image_size, reading.image_channels)
    parts = {
        split: _examples(tuple(map(folder.file, by_split[split])), index, wanted)
        for split, index in indices.items()
    }
    classes = 1 + max(int(index.labels.max()) for index in indices.values())
    return Parts(str(folder), parts.get(TRAIN), parts.get(TEST), _class_names(folder, names, classes))


def _choose(by_split: dict[str, list[str]]) -> None:
    """Make the validation part the test part where there is no other, else leave it out."""
    validation = by_split.pop(VALIDATION, None)
    if validation and TEST not in by_split:
        by_split[TEST] = validation
    elif validation:
        say("left out: the validation part; the test part is used to judge")


def _examples(files: tuple[File, ...], index: Index, wanted: Wanted) -> Examples:
    rows = Rows(Records(files, index, wanted), np.arange(len(index.labels)))
    return dataset.examples(rows, dataset.labels(index.labels, str(files[0])), str(files[0]))


def _scanned(files: Sequence[File], sizes: Sizes) -> Index:
    found: list[tuple[int, int, int, int]] = []
    for number, file in enumerate(files):
        offset = _HEAD
        for length, label, image in _records(file):
            at = len(found)
            sizes.add(pictures.size(io.BytesIO(image), f"the image of record {at} of {file}"), str(file))
            found.append((number, offset, length, label))
            offset += length + _TAIL + _HEAD
    if not found:
        raise WrongInput(f"{files[0]} holds no records; check what was uploaded")
    columns = np.array(found, np.int64).T
    return Index(*columns)


def _records(file: File) -> Iterator[tuple[int, int, bytes]]:
    """Yield length, label and image of each record; raise `WrongInput` where the file is broken."""
    tf = tensorflow()
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    try:
        for batch in tf.data.TFRecordDataset(str(file.path)).batch(_AT_ONCE):
            parsed = tf.io.parse_example(batch, features)
            lengths = tf.strings.length(batch).numpy()
            yield from zip(
                lengths.tolist(), parsed["label"].numpy().tolist(), parsed["image"].numpy(), strict=True
            )
    except tf.errors.DataLossError as error:
        raise WrongInput(f"{file} is a damaged or truncated TFRecord file; upload it again") from error
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:  # it quotes what it cannot parse
        raise WrongInput(
            f"{file} holds {_features(file.path)}; expected are image (PNG or JPEG) and label"
        ) from error


def _features(path: Path) -> str:
    """Return what the first example holds, in words."""
    tf = tensorflow()
    first = next(iter(tf.data.TFRecordDataset(str(path)).take(1))).numpy()
    try:
        example = tf.train.Example.FromString(first)
    except Exception:  # protobuf's own kind of error depends on its implementation
        return "records that are no tf.train.Examples"
    named = {
        name: feature.WhichOneof("kind") or "nothing" for name, feature in example.features.feature.items()
    }
    told = ", ".join(f"{name} ({kind.removesuffix('_list')})" for name, kind in sorted(named.items())[:8])
    return f"examples with the features {told or '(none)'}"


def _check_counts(folder: Folder, names: Sequence[str], counts: dict[str, int]) -> None:
    """Raise `WrongInput` if a part has another number of records than ``dataset_info.json`` says."""
    info = next((folder.file(name) for name in names if name.rpartition("/")[2] == _INFO), None)
    if info is None:
        return
    try:
        splits = json.loads(info.path.read_text())["splits"]
        promised = {each["name"]: sum(int(length) for length in each["shardLengths"]) for each in splits}
    except (ValueError, KeyError, TypeError):
        return  # of another version of its format: it was only a second opinion
    for split, count in counts.items():
        if promised.get(split, count) != count:
            raise WrongInput(
                f"{folder} holds {count} records of the {split} part, but {info.path.name} says"
                f" {promised[split]}; upload all files"
            )


def _class_names(folder: Folder, names: Sequence[str], classes: int) -> tuple[str, ...]:
    named = next((folder.file(name) for name in names if name.rpartition("/")[2] == _CLASS_NAMES), None)
    if named is None:
        return tuple(str(number) for number in range(classes))
    found = named.path.read_text().split("\n")
    found = found[:-1] if found and not found[-1] else found
    if len(found) < classes or len(set(found)) != len(found):
        raise WrongInput(f"{named} names {len(set(found))} classes, but there are labels up to {classes - 1}")
    return tuple(found)
