"""Inputs that are read when they are asked for: what is larger than memory looks like an array."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

IN_MEMORY = 256 * 2**20  # bytes up to which it is quicker, and no harm, to hold everything
_CHUNK = 256


class Source(Protocol):
    """Rows by number, wherever they are kept."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Of one row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a row's values."""

    def read(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the rows [n, ...] of these numbers; raise `WrongInput` if one is broken."""

    def contents(self, numbers: npt.NDArray[np.int64]) -> Iterator[bytes]:
        """Yield each row's own bytes as they are stored, which tell it from other rows."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a source, in an order. Indexed by a number, a slice, numbers or a mask, it gives arrays.

    Each indexing reads; what it gives is not kept. ``numpy.asarray`` reads everything.
    """

    source: Source
    order: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.order), *self.source.row_shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that everything would take in memory."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, indices: Any) -> npt.NDArray[Any]:
        if isinstance(indices, int | np.integer):
            found: npt.NDArray[Any] = self.source.read(self.order[indices].reshape(1))[0]
            return found
        return self.source.read(self.order[indices])

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for begin in range(0, len(self), _CHUNK):
            yield from self[begin : begin + _CHUNK]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        whole = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for begin in range(0, len(self), _CHUNK):
            whole[begin : begin + _CHUNK] = self[begin : begin + _CHUNK]
        return whole

    def at(self, indices: npt.NDArray[Any] | slice) -> "Rows":
        """Return other rows of these; nothing is read."""
        return Rows(self.source, self.order[indices])

    def contents(self) -> Iterator[bytes]:
        """Yield each row's own bytes, as they are stored."""
        return self.source.contents(self.order)


@dataclass(frozen=True, eq=False)
class Mapped:
    """A memory-mapped array as a source: choosing rows of it does not bring them into memory."""

    array: npt.NDArray[Any]

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.array.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def read(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = np.asarray(self.array)[numbers]
        return found

    def contents(self, numbers: npt.NDArray[np.int64]) -> Iterator[bytes]:
        return (self.array[number].tobytes() for number in numbers)


def selected(inputs: Any, indices: npt.NDArray[Any] | slice) -> Any:
    """Return `inputs` at `indices`; what is larger than memory may be is not read for it."""
    if hasattr(inputs, "at"):
        return inputs.at(indices)
    if isinstance(inputs, np.memmap) and not isinstance(indices, slice) and inputs.nbytes > IN_MEMORY:
        return Rows(Mapped(inputs), np.arange(len(inputs))[indices])
    return inputs[indices]


def contents(inputs: Any) -> Iterator[bytes]:
    """Yield each row's own bytes."""
    if hasattr(inputs, "contents"):
        found: Iterator[bytes] = inputs.contents()
        return found
    return (row.tobytes() for row in inputs)


def in_memory(inputs: Any) -> Any:
    """Return rows that take little memory as an array, all else as it is."""
    return np.asarray(inputs) if isinstance(inputs, Rows) and inputs.nbytes <= IN_MEMORY else inputs
