from pathlib import Path

import pytest

from tests.unit.operator_pipeline.builders import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
