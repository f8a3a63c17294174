"""What a pass looks at: the look at a run's progress."""

from __future__ import annotations

import pytest

from tests.unit.builders import NOW, a_situation, seconds
from trainandserve.decide.looks import Known, Look, first_looks

ROWS = [
    ("never looked at", Known("Running", None, None, may_read_progress=False), True),
    ("looked at just now", Known("Running", NOW - seconds(3), NOW), False),
    ("looked at long ago", Known("Running", NOW - seconds(10), NOW), True),
    (
        "looked at long ago, too many at a time",
        Known("Running", NOW - seconds(10), NOW, may_read_progress=False),
        False,
    ),
    (
        "its Workflow has ended, too many at a time",
        Known("Succeeded", NOW, NOW, may_read_progress=False),
        True,
    ),
    ("its Workflow is not seen, too many at a time", Known(None, NOW, NOW, may_read_progress=False), True),
]


@pytest.mark.parametrize(("known", "looks"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_run_is_looked_at_for_its_progress_within_a_cap_and_for_its_end_at_once(
    known: Known, looks: bool
) -> None:
    seen = a_situation().with_run("Running").observation()
    assert (Look.RUN in first_looks(seen, known, NOW)) is looks
