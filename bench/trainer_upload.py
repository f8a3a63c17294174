"""Uploads timed: one by one with the plain client against the trainer's own way, to a store of 20 ms a request."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

MANY = 200  # files
SIZES = (2_000, 40_000)  # bytes, alternating: what a SavedModel's small files are
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def store() -> Iterator[str]:
    """Yield the address of a slow store, in a process of its own so that it takes no turn from the client."""
    command = [sys.executable, "-m", "bench.trainer_store"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def files(folder: Path, count: int) -> dict[str, Path]:
    """Return `count` small files by key."""
    made = {}
    for number in range(count):
        path = folder / f"{number:04}"
        path.write_bytes(bytes([number % 251]) * SIZES[number % len(SIZES)])
        made[f"model/1/variables/{number:04}"] = path
    return made


def one_by_one(found: Mapping[str, Path]) -> float:
    """Return the seconds of a loop of put_object."""
    client: Any = boto3.client("s3")
    began = time.perf_counter()
    for key, path in found.items():
        with path.open("rb") as stream:
            client.put_object(Bucket="bench", Key=key, Body=stream)
    return time.perf_counter() - began


def ours(found: Mapping[str, Path]) -> float:
    """Return the seconds of the trainer's upload."""
    from trainer.storage import place

    target = place("s3://bench/")
    began = time.perf_counter()
    target.upload(found)
    return time.perf_counter() - began
