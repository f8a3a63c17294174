"""Downloads: a part whose bytes break off is asked for again, and nothing else is."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import IncompleteReadError

from tests.unit.trainer.builders import Bucket
from tests.unit.trainer_data.archives import Tally
from trainer import s3
from trainer.errors import Unavailable
from trainer.steps import download

PART = s3._PART_SIZE


class BreaksOff:
    """A body that ends before its end, as one does when a connection is cut."""

    def __init__(self, body: Any) -> None:
        self._body, self._first = body, True

    def read(self, amount: int | None = None) -> bytes:
        if self._first and amount:
            self._first = False
            some: bytes = self._body.read(min(amount, 1_000))
            return some
        raise IncompleteReadError(actual_bytes=1_000, expected_bytes=PART)


class Wire:
    """Which parts are asked for, and the first `cuts` answers broken off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cuts: int) -> None:
        self.asked: Counter[str] = Counter()
        self._cuts, self._lock, client = cuts, threading.Lock(), s3._client

        def watched() -> Any:
            found = client()
            found.meta.events.register("before-send.s3.GetObject", self._ask)
            found.meta.events.register("after-call.s3.GetObject", self._cut)
            return found

        monkeypatch.setattr(s3, "_client", watched)

    def _ask(self, request: Any, **_: object) -> None:
        with self._lock:
            asked = request.headers.get("Range", b"whole")
            self.asked[asked.decode() if isinstance(asked, bytes) else asked] += 1

    def _cut(self, parsed: dict[str, Any], **_: object) -> None:
        with self._lock:
            self._cuts -= 1
            if self._cuts >= 0:
                parsed["Body"] = BreaksOff(parsed["Body"])


LARGE = b"".join(bytes([number]) * (PART // 2) for number in range(1, 6))


@pytest.mark.parametrize("kind", ["file", "archive"])
def test_a_part_that_breaks_off_is_asked_for_again_and_nothing_else(
    kind: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"file": "large", "archive": "large.tar"}[kind]
    bucket.put(**{name: LARGE if kind == "file" else Tally({"large": LARGE}).tar()})
    wire = Wire(monkeypatch, cuts=1)
    download.run(f"{bucket.uri}{name}", tmp_path / "out", None)
    kept = tmp_path / "out" / ("large/large" if kind == "archive" else "large")
    assert kept.read_bytes() == LARGE
    assert sorted(wire.asked.values())[-2:] == [1, 2]


def test_a_store_that_breaks_off_for_good_is_unavailable(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put(**{"one": b"x" * 5_000, "two.tar": Tally({"a": b"x"}).tar()})
    Wire(monkeypatch, cuts=1_000)
    for name in ("one", "two.tar"):
        with pytest.raises(Unavailable, match=bucket.name):
            download.run(f"{bucket.uri}{name}", tmp_path / name, None)
