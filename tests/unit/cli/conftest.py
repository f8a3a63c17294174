"""A shell before a cluster in which version 2 of `mnist` serves and version 3 was rejected."""

from __future__ import annotations

import pytest

from tests.unit.builders import a_situation
from tests.unit.cli.standing import FakeCluster, Shell, body


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    situation = a_situation().judged(2).serving(2).judged(3, accepted=False).after()
    return Shell(capsys, FakeCluster({"mnist": body(situation)}))
