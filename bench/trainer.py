"""The trainer against its controls, in one run: the ratios that it promises.

    python -m bench.trainer [--rounds 5] [--only fit,upload,…] [--folder DIR] [--mnist DIR]

fit: training against the tutorial's way. upload: many files and one against one by one. accuracy: the defaults on
handwriting. archives: time and disk of unpacking on the way. memory: training on more data than memory. transfers: moving
files larger than memory.

Controls and ours take turns, so that a machine that is slow for a while is slow for both. What is printed are medians,
with the smallest and the largest; the exit code is 1 where a gate is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import trainer_data
from bench import trainer_upload as upload
from bench.trainer_images import images
from bench.trainer_row import Row, ratio


def fit(rounds: int, folder: Path) -> list[Row]:
    """Measure training against the tutorial's way, with another seed each round."""
    images(folder)
    found: dict[str, list[dict[str, float]]] = {"tutorial": [], "ours": []}
    for seed in range(rounds):
        for way, told in found.items():
            command = [sys.executable, "-m", "bench.trainer_fit", way, str(seed), str(folder)]
            quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
            done = subprocess.run(
                command, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
            )
            told.append(json.loads(done.stdout))
            print(f"  {way:<9} {told[-1]['seconds']:.2f} s, accuracy {told[-1]['accuracy']:.4f}", flush=True)
    seconds = {way: [each["seconds"] for each in told] for way, told in found.items()}
    points = [
        100 * (mine["accuracy"] - theirs["accuracy"])
        for mine, theirs in zip(found["ours"], found["tutorial"], strict=True)
    ]
    better = Row(
        "accuracy, ours less the tutorial's", points, ">= -0.2", statistics.mean(points) >= -0.2, " points"
    )
    return [
        ratio("fit over the tutorial's way", seconds["ours"], seconds["tutorial"], 0.5, "<= 0.5"),
        better,
    ]


def uploads(rounds: int, folder: Path) -> list[Row]:
    """Measure uploads of many files and of one against one by one."""
    rows = []
    with upload.store() as address, tempfile.TemporaryDirectory() as there:
        os.environ.update(upload.CREDENTIALS, AWS_ENDPOINT_URL=address)
        cases = (
            (upload.MANY, f"upload of {upload.MANY} files over one by one", 0.2, "<= 1/5", 1),
            (100, "upload of 100 files over one by one", 0.2, "<= 1/5", 1),
            (1, "upload of one file over one by one", 1.05, "<= 1 (+5%)", 10),
        )
        for count, what, most, gate, times in cases:
            found = upload.files(Path(there), count)
            taken: dict[Callable[..., float], list[float]] = {upload.one_by_one: [], upload.ours: []}
            for _ in range(rounds):
                for way, told in taken.items():
                    told.append(statistics.median(way(found) for _ in range(times)))
            rows.append(ratio(what, taken[upload.ours], taken[upload.one_by_one], most, gate))
    return rows


def accuracy(rounds: int, folder: Path, mnist: Path | None = None) -> list[Row]:
    """Measure the image classifier's defaults: on the digits with five seeds, and once on as many images as MNIST's."""
    rows = []
    for network in ("dense", "convolutional"):
        found = [_classified("digits", network, str(seed)) for seed in range(5)]
        points = [each["accuracy"] for each in found]
        rows.append(Row(f"{network} on digits, worst of five seeds", points, ">= 0.97", min(points) >= 0.97))
    where = str(mnist) if mnist else "images"
    found = [_classified(where, "convolutional", "0", str(folder))]
    name = "MNIST" if mnist else "60,000 distorted digits"
    points, seconds = ([each[key] for each in found] for key in ("accuracy", "seconds"))
    rows.append(Row(f"convolutional on {name}", points, ">= 0.975", min(points) >= 0.975))
    rows.append(Row("the same, seconds of training", seconds, "<= 60 s", max(seconds) <= 60, " s"))
    return rows


def _classified(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.trainer_accuracy", *arguments]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(f"  {' '.join(arguments[:3])}: {found['accuracy']:.4f}, {found['seconds']:.1f} s", flush=True)
    return found


_PARTS: dict[str, Callable[..., list[Row]]] = {
    "fit": fit,
    "upload": uploads,
    "accuracy": accuracy,
    "archives": trainer_data.archives,
    "memory": trainer_data.memory,
    "transfers": trainer_data.transfers,
}


def main() -> int:
    """Measure and print; return 1 where a gate is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.trainer", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="at least five for numbers to quote")
    parser.add_argument("--only", default=",".join(_PARTS), help="parts, with commas")
    parser.add_argument("--folder", type=Path, help="where made images are kept between runs")
    parser.add_argument("--mnist", type=Path, help="MNIST's own files, where they are there")
    given = parser.parse_args()
    if unknown := [part for part in given.only.split(",") if part not in _PARTS]:
        parser.error(f"there is no part {unknown[0]}, only {', '.join(_PARTS)}")
    began, rows = time.perf_counter(), []
    with tempfile.TemporaryDirectory(prefix="bench-trainer-") as temporary:
        folder = given.folder or Path(temporary)
        for part in given.only.split(","):
            print(f"{part}:", flush=True)
            more = {"mnist": given.mnist} if part == "accuracy" else {}
            rows += _measured(part, given.rounds, folder, **more)
    print(f"\n{'':<58} {'median  (smallest … largest)':<32} gate")
    print("\n".join(row.line() for row in rows))
    print(f"{sum(row.kept for row in rows)} of {len(rows)} rows met, in {time.perf_counter() - began:.0f} s")
    return 0 if all(row.kept for row in rows) else 1


def _measured(part: str, rounds: int, folder: Path, **more: Any) -> list[Row]:
    """Return the rows of a part; one that breaks is a row that is missed, and the others go on."""
    os.sync()  # what the part before wrote must not be written while this one is measured
    try:
        return _PARTS[part](rounds, folder, **more)
    except Exception as error:
        traceback.print_exc()
        return [Row(part, [], "", False, control=f"{type(error).__name__}: {error}"[:200])]


if __name__ == "__main__":
    sys.exit(main())
