"""Data sets in the making, a bucket to look into, and what a training leaves."""

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CLASSIFIER = "trainer.recipes.image_classifier"
QUICK = {"network": "dense", "epochs": 3, "hiddenUnits": 32}
ACCESS_KEY, SECRET_KEY = "planted-access-key", "planted-secret-key"


def idx(values: np.ndarray, zipped: bool = False) -> bytes:
    """Return `values` as an IDX file, written independently of the code under test."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    content = header + values.astype(np.uint8).tobytes()
    return gzip.compress(content) if zipped else content


def pictures(count: int, side: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


@dataclass(frozen=True)
class Bucket:
    name: str
    client: Any

    @property
    def uri(self) -> str:
        return f"s3://{self.name}/"

    def put(self, **objects: bytes) -> None:
        for key, content in objects.items():
            self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def keys(self, prefix: str = "") -> list[str]:
        listing = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for entry in listing.get("Contents", [])]

    def get(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content


@dataclass(frozen=True)
class Trained:
    """What the steps before export leave."""

    data: Path
    model: Path
    evaluation: Path
