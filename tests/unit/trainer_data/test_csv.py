"""Tables: what is read from CSV, and what broken files are told."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainer_data.builders import csv, people, told, written
from trainer import data
from trainer.errors import WrongInput
from trainer.reading import Reading, separated
from trainer.table import Table

Files = dict[str, bytes | str]


def read(folder: Path, files: Files, **parameters: object) -> "tuple[Table, list[int], tuple[str, ...]]":
    how, _ = separated(parameters)
    found = data.read(written(folder, files), how).held_out()
    assert isinstance(found.test.inputs, Table)
    return found.test.inputs, found.test.labels.tolist(), found.class_names


def test_numbers_categories_and_missing_values(tmp_path: Path) -> None:
    text = "age,job,label\n31,clerk,no\n, chef ,yes\n4.5e1,NA,no\n-2,?,yes\n"
    table, labels, names = read(tmp_path, {"d.csv": text})
    assert table.kinds == {"age": "numeric", "job": "categorical"}
    assert np.array_equal(table.numbers("age"), np.array([31, np.nan, 45, -2], np.float32), equal_nan=True)
    assert table.texts("job").tolist() == ["clerk", "chef", "", ""]
    assert (labels, names) == ([0, 1, 0, 1], ("no", "yes"))
    assert table[np.array([0])].tolist() == [{"age": 31.0, "job": "clerk"}]
    assert table.complete().texts("job").tolist() == ["clerk", "", ""]
    assert table[1].tolist() == ["age=", "job=chef"]


@pytest.mark.parametrize(
    "text",
    [
        "age;job;label\n31;clerk;no\n32;chef;yes\n",
        "age\tjob\tlabel\r\n31\tclerk\tno\r\n\r\n32\tchef\tyes\r\n",
        "\ufeffage, job ,label\n31, clerk ,no\n32,chef,yes",
        '"age","job","label"\n"31","clerk","no"\n"32","chef","yes"\n',
    ],
)
def test_separators_quotes_and_marks_are_seen(text: str, tmp_path: Path) -> None:
    table, labels, _ = read(tmp_path, {"d.csv": text})
    assert table.numbers("age").tolist() == [31, 32]
    assert table.texts("job").tolist() == ["clerk", "chef"]
    assert labels == [0, 1]


def test_classes_that_are_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    _, labels, names = read(tmp_path, {"d.csv": csv([[1, "a", 10], [2, "b", 9], [3, "c", 2]])})
    assert (names, labels) == (("2", "9", "10"), [2, 1, 0])


def test_parts_by_file_names_and_several_files_of_a_part(tmp_path: Path) -> None:
    rows = people(30)
    files: Files = {
        "train-1.csv": csv(rows[:10]),
        "train-2.csv": csv(rows[10:20]),
        "test.csv": csv(rows[20:]),
    }
    found, said = data.read(written(tmp_path, files)).data_set()
    assert (len(found.train), len(found.test), said) == (20, 10, "test part: the data's own")


def test_one_file_is_divided_by_its_rows_and_stays_so(tmp_path: Path) -> None:
    rows = people(200)
    few, said = data.read(written(tmp_path / "few", {"d.csv": csv(rows[:150])})).data_set()
    many, _ = data.read(written(tmp_path / "many", {"d.csv": csv(rows)})).data_set()
    assert "are kept back" in said
    tests = set(many.test.inputs.contents())
    assert set(few.test.inputs.contents()) <= tests
    assert not set(few.train.inputs.contents()) & tests


def test_columns_by_parameter(tmp_path: Path) -> None:
    files: Files = {"d.data": "id,Zip Code,kind\nx1,02134,a\nx2,10001,b\n"}
    table, _, names = read(
        tmp_path,
        files,
        dataFormat="csv",
        labelColumn="kind",
        ignoredColumns="id",
        categoricalColumns=["Zip Code"],
    )
    assert names == ("a", "b")
    assert table.kinds == {"Zip_Code": "categorical"}
    assert table.texts("Zip_Code").tolist() == ["02134", "10001"]


def test_names_become_inputs_of_a_signature(tmp_path: Path) -> None:
    table, _, _ = read(tmp_path, {"d.csv": "größe (cm),class,2nd,价格,label\n1,2,3,4,a\n1,2,3,4,b\n"})
    assert list(table.columns) == ["groe_cm", "column_class", "column_2nd", "column"]


def test_many_rows_come_in_pieces_and_lines_are_still_right(tmp_path: Path) -> None:
    rows = people(25_000)
    rows[24_000][0] = "old"
    with pytest.raises(
        WrongInput, match=r"column age holds 'old' \(.*/d\.csv, line 24002\) where 24999 of 25000"
    ):
        read(tmp_path, {"d.csv": csv(rows)})


LINES = csv(people(40))
BAD: dict[str, tuple[Files, Reading, str]] = {
    "empty": ({"d.csv": ""}, Reading(), "d.csv is empty or begins with an empty line"),
    "only a header": ({"d.csv": "age,label\n"}, Reading(), "d.csv holds a header but no rows"),
    "no header": ({"d.csv": "1,2,3\n4,5,6\n"}, Reading(), "d.csv begins with numbers; its first line"),
    "no name": (
        {"d.csv": ",age,label\n0,1,a\n"},
        Reading(),
        "column 1 has no name; name it (or leave the index out)",
    ),
    "one name twice": ({"d.csv": "age,age,label\n0,1,a\n"}, Reading(), "two columns named age"),
    "one input twice": (
        {"d.csv": "a b,a-b,label\n0,1,a\n"},
        Reading(),
        "columns a b and a-b would both be the input a_b",
    ),
    "ragged": (
        {"d.csv": LINES + "31,clerk\n"},
        Reading(),
        "d.csv, line 42, has 2 fields, but the header has 3",
    ),
    "ragged, too long": ({"d.csv": LINES + "31,clerk,no,\n"}, Reading(), "line 42, has 4 fields"),
    "no label column": (
        {"d.csv": "age,kind\n1,a\n"},
        Reading(),
        "has no column label to predict, but age, kind; name one by",
    ),
    "other label column": ({"d.csv": LINES}, Reading(label_column="kind"), "has no column kind to predict"),
    "nothing but labels": ({"d.csv": "label\na\nb\n"}, Reading(), "holds nothing but label; add columns"),
    "a label is missing": (
        {"d.csv": LINES + "31,clerk,\n"},
        Reading(),
        "column label is empty (d.csv, line 42)",
    ),
    "one class": ({"d.csv": csv([[n, "x", "a"] for n in range(60)])}, Reading(), "one class only (a)"),
    "numbers to predict": (
        {"d.csv": csv([[n, "x", n / 7] for n in range(60)])},
        Reading(),
        "column label holds 60 different numbers; only classes are predicted",
    ),
    "text among numbers": (
        {"d.csv": LINES + "old,clerk,no\n"},
        Reading(),
        "column age holds 'old' (d.csv, line 42) where 40 of 41 values are numbers",
    ),
    "infinite": (
        {"d.csv": LINES + "inf,clerk,no\n"},
        Reading(),
        "column age holds 'inf' (d.csv, line 42) where finite",
    ),
    "too large a number": ({"d.csv": LINES + "1e99,clerk,no\n"}, Reading(), "column age holds '1e99'"),
    "text in the test part": (
        {"train.csv": LINES, "test.csv": LINES + "old,clerk,no\n"},
        Reading(),
        "column age holds 'old' (test.csv, line 42) where finite numbers are expected",
    ),
    "other columns": (
        {"train.csv": LINES, "test.csv": "age,label\n1,no\n"},
        Reading(),
        "train.csv has a column job, test.csv has not",
    ),
    "not UTF-8": (
        {"d.csv": LINES.encode() + b"31,caf\xe9,no\n"},
        Reading(),
        "d.csv is not a text in UTF-8 (byte 0xe9)",
    ),
    "binary": ({"d.csv": b"\x89PNG\r\n\x1a\n" + bytes(99)}, Reading(), "d.csv is not a text in UTF-8"),
    "open quote": (
        {"d.csv": LINES + '31,"clerk,no\n'},
        Reading(),
        "d.csv is not a CSV file: unexpected end of data",
    ),
    "one long line": (
        {"d.csv": LINES + '"' + "x" * 200_000},
        Reading(),
        "d.csv is not a CSV file: field larger",
    ),
    "unknown ignored": (
        {"d.csv": LINES},
        Reading(ignored_columns=("id",)),
        "has no column id, which a parameter names",
    ),
    "unknown categorical": ({"d.csv": LINES}, Reading(categorical_columns=("zip",)), "has no column zip"),
    "nothing left": ({"d.csv": LINES}, Reading(ignored_columns=("age", "job")), "holds nothing but label"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    files, how, sentence = BAD[case]
    with pytest.raises(WrongInput) as raised:
        data.read(written(tmp_path, files), how).data_set()
    assert sentence in told(raised, tmp_path)
    assert "\n" not in str(raised.value)


def test_columns_that_are_not_there_or_not_numbers_are_told(tmp_path: Path) -> None:
    table, _, _ = read(tmp_path, {"d.csv": LINES})
    with pytest.raises(WrongInput, match=r"there is no column wage in .*; it has age, job"):
        table.texts("wage")
    with pytest.raises(WrongInput, match=r"column job of .* holds '.*' where numbers are expected"):
        table.numbers("job")
