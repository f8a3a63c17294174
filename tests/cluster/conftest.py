"""What the cases stand on: one place for all of them, one model that serves, and a report at the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.place import Place
from tests.cluster.settings import Settings
from tests.harness.api import Json

HERE = Path(__file__).parent
SEEN = pytest.StashKey[list[tuple[str, str]]]()
Saw = Callable[[str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the suite out of ordinary runs, and skip it at once where there is no cluster to work with."""
    settings = Settings()
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.timeout(4 * settings.patience.total_seconds()))
        if reason := settings.missing():
            item.add_marker(pytest.mark.skip(reason=reason))


@dataclass(frozen=True)
class Model:
    """A resource of which a version serves; cases look at its status for which one.

    Attributes
    ----------
    first
        Its status when its first version served.
    seconds
        From the apply until then.
    """

    name: str
    first: Json
    seconds: float


@pytest.fixture(scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with Place.made(Settings(), tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture(scope="session")
async def model(place: Place) -> Model:
    """The one that is asked, trained again and edited by several cases."""
    name, began = place.name("model"), time.monotonic()
    await place.apply(name)
    status = await place.serves(name, 1)
    return Model(name, status, time.monotonic() - began)


@pytest.fixture
def killed(place: Place) -> Place:
    """A place whose operator may be killed."""
    if not place.operators:
        pytest.skip("the operator was not started by this suite: TAS_E2E_OPERATOR=process starts one")
    return place


@pytest.fixture
def saw(request: pytest.FixtureRequest) -> Saw:
    """Say what a case saw; all of it is printed at the end."""
    seen = request.config.stash.setdefault(SEEN, [])
    return lambda words: seen.append((request.node.name, words))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note what was skipped and why; show the operator's log where a case failed."""
    report = yield
    seen = item.config.stash.setdefault(SEEN, [])
    if report.skipped and isinstance(report.longrepr, tuple):
        seen.append((item.name, f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"))
    made = getattr(item, "funcargs", {}).get("place")
    if report.failed:
        seen.append((item.name, f"FAILED ({report.when}): {str(call.excinfo and call.excinfo.value)[:300]}"))
        for operator in made.operators[-2:] if made is not None else ():
            report.sections.append((f"log of the operator {operator.pid}", operator.log[-8000:]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a case: what it saw."""
    seen = config.stash.get(SEEN, [])
    if any(not words.startswith("skipped: no cluster") for _, words in seen):
        terminalreporter.section("what the cases saw")
        for name, words in seen:
            terminalreporter.write_line(f"{name.removeprefix('test_').replace('_', ' ')}:")
            terminalreporter.write_line(f"    {words}")
