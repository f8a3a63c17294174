"""The two images, made once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.s3 import S3Server
from tests.api.conftest import plane
from tests.api.operator_path.conftest import ground, pytest_runtest_makereport
from tests.api.operator_path.storage import ACCESS_KEY, SECRET_KEY
from tests.image import images
from tests.image.images import Image

Rooms = Callable[[], Path]
__all__ = ["Rooms", "ground", "plane", "pytest_runtest_makereport"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them make images first: not among what always runs."""
    reason = images.why_not()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.campaign)
            item.add_marker(pytest.mark.timeout(1800))
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"make image-check: {reason}"))


@pytest.fixture(scope="session")
def base() -> str:
    return images.base()


@pytest.fixture(scope="session")
def operator_image(base: str) -> Iterator[Image]:
    with images.opened(images.build("operator", base)) as image:
        yield image


@pytest.fixture(scope="session")
def trainer_image(base: str) -> Iterator[Image]:
    with images.opened(images.build("trainer", base)) as image:
        yield image


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    """Folders that processes are confined in, one for each."""
    numbers = itertools.count(1)
    return lambda: tmp_path / f"room-{next(numbers)}"


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server.started(ACCESS_KEY, SECRET_KEY, log=tmp_path_factory.mktemp("s3") / "s3.log") as s3:
        yield s3
