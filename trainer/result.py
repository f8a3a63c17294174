"""The result file: what the operator is told about a version."""

import json
import math
from collections.abc import Mapping
from typing import Any

from trainer.errors import WrongInput

NAME = "result.json"
SCHEMA_VERSION = 1
MAX_BYTES = 2**20
MAX_SAMPLE_BYTES = 128 * 2**10


def strict(value: Any) -> Any:
    """Return `value` with null for every number that JSON cannot say (not a number, infinite)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): strict(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [strict(each) for each in value]
    return value


def encoded(value: Any) -> bytes:
    """Return `value` as strict JSON in UTF-8."""
    text = json.dumps(strict(value), ensure_ascii=False, allow_nan=False, indent=1)
    # Half a surrogate pair, as file names may hold, becomes its escape, which JSON reads back.
    return text.encode(errors="backslashreplace") + b"\n"


def fitting(result: Mapping[str, Any]) -> bytes:
    """Return the result file's bytes; the sample is left out first where all together is too large.

    Raises
    ------
    WrongInput
        If it is over 1 MiB without the sample: a model of more than about 4,000 files.
    """
    content = encoded(result)
    if len(content) > MAX_BYTES:
        content = encoded({name: value for name, value in result.items() if name != "sample"})
    if len(content) > MAX_BYTES:
        files = len(result.get("manifest", []))
        raise WrongInput(
            f"result.json would be {len(content)} bytes, over 1 MiB; the model has {files} files: write fewer"
        )
    return content


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two results say the same; ETags aside, which depend on how a file was uploaded."""
    return bool(_without_etags(one) == _without_etags(other))


def _without_etags(result: Mapping[str, Any]) -> Any:
    manifest = [{**entry, "etag": None} for entry in result.get("manifest", [])]
    return strict({**result, "manifest": manifest})
