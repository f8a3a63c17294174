"""A real table for the sandbox: 150 irises, measured by Anderson in 1935, as a CSV file.

python -m sandbox.flowers --output DIR
"""

import argparse
import csv
import sys
from pathlib import Path

FILE = "iris.csv"
LABEL = "species"


def write_flowers(directory: Path) -> None:
    """Write the file to `directory`, which is made if it is not there; the same bytes each time."""
    from sklearn.datasets import load_iris

    found = load_iris()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / FILE).open("w", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow([*found.feature_names, LABEL])
        for values, species in zip(found.data.tolist(), found.target.tolist(), strict=True):
            rows.writerow([*values, found.target_names[species]])


def main(arguments: list[str] | None = None) -> int:
    """Write the file and say what it is."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.flowers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    given = parser.parse_args(arguments)
    write_flowers(given.output)
    print(f"{given.output / FILE}: 150 flowers of 3 species; the column to predict is {LABEL}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
