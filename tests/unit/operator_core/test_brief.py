"""Foreign messages, cut to what fits into a condition."""

from __future__ import annotations

import pytest

from trainandserve.gateways.errors import brief


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, ""), ("", ""), ("a\n  b", "a b"), ("x" * 10, "xxxx…"), (ValueError("no"), "no")],
    ids=["nothing is not the word None", "empty", "one line", "cut", "an error"],
)
def test_a_message_is_one_short_line(text: object, said: str) -> None:
    assert brief(text, limit=5) == said
