"""Rows of named columns, as a CSV file has them: texts, and numbers where all of them are numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainer.errors import WrongInput

Kind = Literal["numeric", "categorical"]
Texts = npt.NDArray[Any]  # numpy's StringDType: about 16 bytes a value
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
_MOSTLY = 0.9  # share of numbers from which on a text among them is taken for a mistake


@dataclass(frozen=True, eq=False)
class Table:
    """Examples of a table: what `Examples.inputs` is for CSV.

    Attributes
    ----------
    columns
        Texts [n] by name, "" where a value is missing. Names hold letters, digits and _ only, as the inputs of a
        model's signature do.
    kinds
        What each column holds. Numeric ones are all numbers (or missing).
    source
        Where the rows came from, in words.
    """

    columns: Mapping[str, Texts]
    kinds: Mapping[str, Kind]
    source: str = "the data"

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self), len(self.columns)

    @property
    def ndim(self) -> int:
        return 2

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, indices: Any) -> Any:
        """Return other rows as a table, or one row as texts "column=value"."""
        if isinstance(indices, int | np.integer):
            return np.array([f"{name}={column[indices]}" for name, column in self.columns.items()])
        return self.at(indices)

    def at(self, indices: npt.NDArray[Any] | slice) -> "Table":
        """Return other rows of these."""
        return replace(self, columns={name: column[indices] for name, column in self.columns.items()})

    def contents(self) -> Iterator[bytes]:
        """Yield each row's own bytes."""
        return ("\x1f".join(row).encode() for row in zip(*self.columns.values(), strict=True))

    def numbers(self, name: str) -> npt.NDArray[np.float32]:
        """Return a column as float32 [n], not-a-number where a value is missing.

        Raises
        ------
        WrongInput
            If there is no such column, or it holds anything else than finite numbers.
        """
        column = self.texts(name)
        found = np.full(len(column), np.nan, np.float64)
        present = column != ""
        try:
            found[present] = column[present].astype(np.float64)
        except ValueError as error:
            wrong = next(value for value in column[present] if not is_number(value))
            raise WrongInput(
                f"column {name} of {self.source} holds {str(wrong)[:40]!r} where numbers are expected"
            ) from error
        with np.errstate(over="ignore"):
            single = found.astype(np.float32)
        if not np.isfinite(single[present]).all():
            wrong = column[present][~np.isfinite(single[present])][0]
            raise WrongInput(
                f"column {name} of {self.source} holds {str(wrong)[:40]!r}, which is no finite number"
            )
        return single

    def texts(self, name: str) -> Texts:
        """Return a column as it is written; raise `WrongInput` if there is none of this name."""
        if name not in self.columns:
            raise WrongInput(
                f"there is no column {name} in {self.source}; it has {', '.join(list(self.columns)[:20])}"
            )
        return self.columns[name]

    def complete(self) -> "Table":
        """Return the rows that lack no number: those that strict JSON can say."""
        numeric = [self.columns[name] != "" for name, kind in self.kinds.items() if kind == "numeric"]
        return self.at(np.flatnonzero(np.all(numeric, axis=0))) if numeric else self

    def tolist(self) -> list[dict[str, Any]]:
        """Return the rows as the V1 protocol sends them: objects by input name.

        A missing number is not-a-number, which strict JSON cannot say.
        """
        values = {
            name: self.numbers(name).tolist()
            if self.kinds[name] == "numeric"
            else [str(each) for each in column]
            for name, column in self.columns.items()
        }
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def is_number(text: str) -> bool:
    """Tell whether a text is a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def kind_of(name: str, column: Texts, line_of: Any) -> Kind:
    """Return what a column holds, by its values.

    Parameters
    ----------
    line_of
        Given a row's index, where it stands, in words.

    Raises
    ------
    WrongInput
        If nearly all of at least 20 values are numbers: the others are mistakes, or the column is meant to be
        categorical.
    """
    present = column[column != ""]
    values, counts = np.unique(present, return_counts=True)
    numeric = np.array([is_number(value) for value in values], bool)
    if numeric.all():
        return "numeric" if len(values) else "categorical"
    share = counts[numeric].sum() / len(present)
    if share >= _MOSTLY and len(present) >= 20:
        wrong = values[~numeric][0]
        raise WrongInput(
            f"column {name} holds {str(wrong)[:40]!r} ({line_of(int(np.argmax(column == wrong)))}) where"
            f" {counts[numeric].sum()} of {len(present)} values are numbers; correct it, or name the column in the"
            " parameter categoricalColumns"
        )
    return "categorical"
