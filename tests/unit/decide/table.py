"""Rows of the decision table: a situation in a sentence, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.builders import Situation, at, words
from trainandserve.plan import WriteRecord

ANY = object()


@dataclass(frozen=True)
class Row:
    """A situation and what is to follow; actions and events are all there may be, the records of versions aside (test_record)."""

    says: str
    situation: Situation
    actions: tuple[str, ...] = ()
    then: dict[str, Any] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    wake: Any = ANY
    again: Any = ANY


def row(
    says: str,
    situation: Situation,
    *actions: str,
    then: dict[str, Any] | None = None,
    events: Sequence[str] = (),
    wake: float | object | None = ANY,
    again: bool | object = ANY,
) -> Row:
    """One row. `then` maps dotted paths of the status after it to values; `wake` is in seconds from now, or None."""
    return Row(says, situation, actions, then or {}, tuple(events), wake, again)


def table(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """The rows as a test's parameters, each named by its sentence."""
    names = [one.says for one in rows]
    assert len(set(names)) == len(names), "two rows say the same"
    return pytest.mark.parametrize("given", rows, ids=names)


def follows(given: Row) -> None:
    """Decide, and hold the plan to the row."""
    plan = given.situation.decide()
    found = {path: at(plan.status, path) for path in given.then}
    assert found == given.then
    actions = [words(action) for action in plan.actions if not isinstance(action, WriteRecord)]
    assert actions == list(given.actions)
    assert [note.reason for note in plan.notes] == list(given.events)
    if given.wake is not ANY:
        wake = (plan.wake - given.situation.now).total_seconds() if plan.wake else None
        assert wake == given.wake
    if given.again is not ANY:
        assert plan.again == given.again
