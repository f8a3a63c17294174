"""A folder of class-named folders of PNG and JPEG images, in parts (train, test) or not."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer import dataset
from trainer.dataset import Examples, Parts
from trainer.errors import WrongInput
from trainer.folder import Folder
from trainer.formats import pictures
from trainer.formats.pictures import Sizes, Wanted
from trainer.formats.splits import TEST, TRAIN, VALIDATION, split_of
from trainer.progress import say
from trainer.reading import Reading
from trainer.rows import Rows

PARAMETERS = ("imageSize", "imageChannels")
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files as a source of rows."""

    folder: Folder
    names: npt.NDArray[np.object_]
    wanted: Wanted

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.wanted.shape

    def read(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        # In chunks: files of large images, waiting to be scaled down, are many times their pixels.
        some = [self._decoded(few) for few in pictures.chunks(numbers)]
        return np.concatenate(some) if some else np.empty((0, *self.row_shape), self.dtype)

    def _decoded(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        files = list(self.contents(numbers))
        return pictures.decoded(
            files, self.wanted, lambda index: self.folder.told(self.names[numbers[index]])
        )

    def contents(self, numbers: npt.NDArray[np.int64]) -> Iterator[bytes]:
        for number in numbers:
            with open(self.folder / self.names[number], "rb") as stream:  # noqa: PTH123
                yield stream.read()


def recognised(folder: Folder, names: Sequence[str]) -> bool:
    """Tell whether there are images: by name, or by content if the first file has a name without a suffix."""
    if any(name.lower().endswith(_SUFFIXES) for name in names):
        return True
    return not Path(names[0]).suffix and _is_image(folder / names[0])


def read(folder: Folder, names: Sequence[str], reading: Reading) -> Parts:
    """Return the data set in the class-named folders below `folder`."""
    images = [name for name in names if name.lower().endswith(_SUFFIXES)]
    images = images or [name for name in names if _is_image(folder / name)]
    if not images:
        raise WrongInput(f"{folder} holds no PNG or JPEG images, only {names[0]}, …")
    found = _sorted_out(folder, images)
    sizes, parts = Sizes(), {}
    for members in found.values():
        for name, _ in members:
            told = folder.told(name)
            with (folder / name).open("rb") as stream:
                sizes.add(pictures.size(stream, told), told)
    wanted = sizes.wanted(reading.image_size, reading.image_channels)
    classes = sorted({label for members in found.values() for _, label in members})
    for split, members in found.items():
        parts[split] = _examples(folder, members, classes, wanted)
    return Parts(str(folder), parts.get(TRAIN), parts.get(TEST), tuple(classes))


def _is_image(path: Path) -> bool:
    with path.open("rb") as stream:
        return pictures.is_one(stream.read(16))


def _examples(
    folder: Folder, members: Sequence[tuple[str, str]], classes: Sequence[str], wanted: Wanted
) -> Examples:
    number = {name: index for index, name in enumerate(classes)}
    source = ImageFiles(folder, np.array([name for name, _ in members], object), wanted)
    labels = np.array([number[label] for _, label in members], np.int64)
    return dataset.examples(Rows(source, np.arange(len(members))), labels, str(folder))


def _sorted_out(folder: Folder, images: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return (name, class) of each image by part.

    Folders that hold nothing but one other folder are passed through, as archives often have one.
    """
    common = _wrapper(images)
    below = {name: name[len(common) :].split("/") for name in images}
    if not any(len(path) > 2 and split_of(path[0]) for path in below.values()):
        if all(split_of(path[0]) for path in below.values()):
            raise _no_class(folder, next(iter(below)))
        return {TRAIN: [(name, _class(folder, name, common)) for name in images]}
    found: dict[str, list[tuple[str, str]]] = {TRAIN: [], TEST: [], VALIDATION: []}
    for first in sorted({path[0] for path in below.values()}):
        members = [name for name, path in below.items() if path[0] == first]
        part = split_of(first)
        if part is None:
            raise WrongInput(
                f"{folder.told(members[0])} lies beside the folders of training and test images; move it there"
            )
        above = f"{common}{first}/"
        inner = above + _wrapper([name[len(above) :] for name in members])
        found[part] += [(name, _class(folder, name, inner)) for name in members]
    return _without_validation({part: members for part, members in found.items() if members})


def _without_validation(found: dict[str, list[tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    validation = found.pop(VALIDATION, None)
    if validation and TEST not in found:
        return {**found, TEST: validation}
    if validation:
        say(f"left out: the {len(validation)} images for validation; the test images are used to judge")
    return found


def _wrapper(names: Sequence[str]) -> str:
    """Return the folders, each the only one in the one above, that class folders lie in."""
    common = os.path.commonpath([name.rpartition("/")[0] or "." for name in names])
    folders = [folder for folder in common.split("/") if folder not in ("", ".")]
    if any(len(name.split("/")) == len(folders) + 1 for name in names):
        folders = folders[:-1]  # images lie in the last of them: it is a class
    return "".join(f"{folder}/" for folder in folders)


def _class(folder: Folder, name: str, above: str) -> str:
    path = name[len(above) :].split("/")
    if len(path) < 2:
        raise _no_class(folder, name)
    return path[0]


def _no_class(folder: Folder, name: str) -> WrongInput:
    return WrongInput(
        f"{folder.told(name)} lies in no class's folder; put each image into a folder named after its class"
    )
