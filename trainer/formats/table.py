"""CSV (or tab- or semicolon-separated) files with a header and a column of labels."""

import csv
import keyword
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from trainer.dataset import MAX_CLASSES, Examples, Parts
from trainer.errors import WrongInput
from trainer.folder import File, Folder
from trainer.formats.splits import TEST, TRAIN, VALIDATION, split_in
from trainer.progress import say
from trainer.reading import Reading
from trainer.table import MISSING, Kind, Table, Texts, is_number, kind_of

PARAMETERS = ("labelColumn", "categoricalColumns", "ignoredColumns")
_SUFFIXES = (".csv", ".tsv")
_SEPARATORS = ",;\t|"
_AT_ONCE = 20_000
_FEW = 20
_LARGEST = float(np.finfo(np.float32).max)
_TEXT = np.dtypes.StringDType()


@dataclass(frozen=True)
class _Columns:
    """What a file holds: texts by the header's names, and the line that each row ends at."""

    file: str
    values: dict[str, Texts]
    lines: npt.NDArray[np.int64]

    def line_of(self, row: int) -> str:
        return f"{self.file}, line {self.lines[row]}"


def recognised(names: Sequence[str]) -> bool:
    """Tell whether one of the files is named as CSV."""
    return any(name.lower().endswith(_SUFFIXES) for name in names)


def read(folder: Folder, names: Sequence[str], reading: Reading) -> Parts:
    """Return the data set in the CSV files among `names`, or in all of them where none is named so."""
    files = [name for name in names if name.lower().endswith(_SUFFIXES)] or list(names)
    by_split: dict[str, list[_Columns]] = {}
    for name in files:
        by_split.setdefault(split_in(name) or TRAIN, []).append(_columns(folder.file(name)))
    validation = by_split.pop(VALIDATION, None)
    if validation and TEST not in by_split:
        by_split[TEST] = validation
    elif validation:
        say(f"left out: {validation[0].file}, for validation; the test rows are used to judge")
    _check_same_header([each for some in by_split.values() for each in some])
    whole = {split: _joined(some) for split, some in by_split.items()}
    return _parts(folder, whole, reading)


def _columns(file: File) -> _Columns:
    """Return the columns of one file; raise `WrongInput` where it is no table."""
    try:
        with file.path.open(encoding="utf-8-sig", newline="") as stream:
            header, rows = _opened(stream, str(file))
            pieces: list[list[Texts]] = [[] for _ in header]
            lines: list[int] = []
            for some, at in rows:
                lines += at
                for piece, column in zip(pieces, zip(*some, strict=True), strict=True):
                    piece.append(np.array([_clean(value) for value in column], _TEXT))
    except UnicodeDecodeError as error:
        raise WrongInput(
            f"{file} is not a text in UTF-8 (byte {error.object[error.start]:#04x}); save it so"
        ) from error
    except csv.Error as error:
        raise WrongInput(f"{file} is not a CSV file: {error}; check its quotes") from error
    if not lines:
        raise WrongInput(f"{file} holds a header but no rows; check what was uploaded")
    values = {column: np.concatenate(piece) for column, piece in zip(header, pieces, strict=True)}
    return _Columns(str(file), values, np.array(lines, np.int64))


def _opened(stream: TextIO, name: str) -> tuple[list[str], Iterator[tuple[list[list[str]], list[int]]]]:
    first = stream.readline()
    if not first.strip():
        raise WrongInput(f"{name} is empty or begins with an empty line; its first line names the columns")
    separator = max(_SEPARATORS, key=first.count)
    stream.seek(0)
    reader = csv.reader(stream, delimiter=separator, strict=True)
    header = [column.strip() for column in next(reader)]
    if all(is_number(column) for column in header):
        raise WrongInput(f"{name} begins with numbers; its first line has to name the columns")
    if "" in header:
        raise WrongInput(
            f"{name}: column {header.index('') + 1} has no name; name it (or leave the index out)"
        )
    if twice := [column for column, count in Counter(header).items() if count > 1]:
        raise WrongInput(f"{name} has two columns named {twice[0]}; rename one")
    return header, _rows(reader, len(header), name)


def _rows(reader: Any, width: int, name: str) -> Iterator[tuple[list[list[str]], list[int]]]:
    """Yield some rows and the lines that they end at; empty lines are passed over."""
    rows: list[list[str]] = []
    lines: list[int] = []
    for row in reader:
        if len(row) != width:
            if not row:
                continue
            raise WrongInput(
                f"{name}, line {reader.line_num}, has {len(row)} fields, but the header has {width}; correct it"
            )
        rows.append(row)
        lines.append(reader.line_num)
        if len(rows) == _AT_ONCE:
            yield rows, lines
            rows, lines = [], []
    if rows:
        yield rows, lines


def _clean(value: str) -> str:
    value = value.strip()
    return "" if value.lower() in MISSING else value


def _check_same_header(found: Sequence[_Columns]) -> None:
    first = found[0]
    for other in found[1:]:
        if different := sorted(first.values.keys() ^ other.values.keys()):
            there, missing = (first, other) if different[0] in first.values else (other, first)
            raise WrongInput(
                f"{there.file} has a column {different[0]}, {missing.file} has not; give all files the same columns"
            )


def _joined(found: Sequence[_Columns]) -> _Columns:
    if len(found) == 1:
        return found[0]
    names = [f"{found[0].file} to {found[-1].file}"]
    values = {column: np.concatenate([each.values[column] for each in found]) for column in found[0].values}
    return _Columns(names[0], values, np.concatenate([each.lines for each in found]))


def _parts(folder: Folder, found: dict[str, _Columns], reading: Reading) -> Parts:
    label_column = _label_column(next(iter(found.values())), reading)
    classes = _class_names(found, label_column)
    inputs = _input_names(next(iter(found.values())), label_column, reading)
    learned = found.get(TRAIN, found.get(TEST))
    assert learned is not None
    kinds = {name: _kind(header, learned, reading) for header, name in inputs.items()}
    parts = {}
    for split, columns in found.items():
        for header, name in inputs.items():
            if kinds[name] == "numeric":
                _check_numbers(header, columns)
        table = Table({name: columns.values[header] for header, name in inputs.items()}, kinds, str(folder))
        number = {name: index for index, name in enumerate(classes)}
        labels = np.fromiter((number[each] for each in columns.values[label_column]), np.int64, len(table))
        parts[split] = Examples(table, labels)
    return Parts(str(folder), parts.get(TRAIN), parts.get(TEST), classes)


def _label_column(columns: _Columns, reading: Reading) -> str:
    if reading.label_column not in columns.values:
        known = ", ".join(list(columns.values)[:20])
        raise WrongInput(
            f"{columns.file} has no column {reading.label_column} to predict, but {known}; name one by the parameter"
            " labelColumn"
        )
    return reading.label_column


def _class_names(found: dict[str, _Columns], label_column: str) -> tuple[str, ...]:
    names: set[str] = set()
    for columns in found.values():
        labels = columns.values[label_column]
        if (missing := labels == "").any():
            raise WrongInput(
                f"column {label_column} is empty ({columns.line_of(int(missing.argmax()))}); label each row"
            )
        names |= {str(name) for name in np.unique(labels)}
    numeric = all(is_number(name) for name in names)
    if numeric and len(names) > _FEW and any(not float(name).is_integer() for name in names):
        raise WrongInput(
            f"column {label_column} holds {len(names)} different numbers; only classes are predicted: put them into"
            " a few groups"
        )
    if len(names) > MAX_CLASSES:
        raise WrongInput(
            f"column {label_column} holds {len(names)} different values; up to {MAX_CLASSES} are possible"
        )
    return tuple(sorted(names, key=lambda name: (float(name), name)) if numeric else sorted(names))


def _input_names(columns: _Columns, label_column: str, reading: Reading) -> dict[str, str]:
    """Return the inputs' names by column; raise `WrongInput` if two are the same, or none is left."""
    for name in (*reading.ignored_columns, *reading.categorical_columns):
        if name not in columns.values:
            raise WrongInput(
                f"{columns.file} has no column {name}, which a parameter names; it has {', '.join(columns.values)}"
            )
    found: dict[str, str] = {}
    for column in columns.values:
        if column != label_column and column not in reading.ignored_columns:
            name = input_name(column)
            if name in found.values():
                other = next(each for each in found if found[each] == name)
                raise WrongInput(f"columns {other} and {column} would both be the input {name}; rename one")
            found[column] = name
    if not found:
        raise WrongInput(f"{columns.file} holds nothing but {label_column}; add columns to predict it from")
    return found


def input_name(column: str) -> str:
    """Return a column's name as an input of a model's signature: letters, digits and _, no keyword of Python's."""
    plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")
    if not name or name[0].isdigit() or keyword.iskeyword(name):
        name = f"column_{name}".rstrip("_")
    return name


def _kind(header: str, columns: _Columns, reading: Reading) -> Kind:
    if header in reading.categorical_columns:
        return "categorical"
    return kind_of(header, columns.values[header], columns.line_of)


def _check_numbers(header: str, columns: _Columns) -> None:
    column = columns.values[header]
    for value in np.unique(column):
        if value != "" and not (is_number(value) and abs(float(value)) <= _LARGEST):
            where = columns.line_of(int(np.argmax(column == value)))
            raise WrongInput(
                f"column {header} holds {str(value)[:40]!r} ({where}) where finite numbers are expected"
            )
