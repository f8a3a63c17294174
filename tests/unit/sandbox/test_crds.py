from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import crds
from sandbox.controlplane.golang import Go, GoError


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for a fetched Go module; every file says its own path."""
    folder = tmp_path / "module"
    for source in (crds.KSERVE, crds.ARGO):
        for file in source.files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(f"kind: CustomResourceDefinition\nmetadata: {{name: {file}}}\n")
    monkeypatch.setenv("TRAINANDSERVE_CACHE", str(tmp_path / "cache"))
    fetched: list[str] = []

    class FakeGo:
        def module(self, module: str, checksum: str) -> Path:
            assert checksum.startswith("h1:")
            fetched.append(module)
            return folder

    monkeypatch.setattr(Go, "find", FakeGo)
    return folder


def test_definitions_are_read_from_the_modules_once_and_then_need_no_go(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = crds.kserve_crds(), crds.argo_crds()

    def no_go() -> Go:
        raise GoError("no Go here")

    monkeypatch.setattr(Go, "find", no_go)
    assert (crds.kserve_crds(), crds.argo_crds()) == first
    names = [each["metadata"]["name"] for each in (*first[0], *first[1])]
    assert names == [*crds.KSERVE.files, *crds.ARGO.files]


def test_without_go_and_without_a_cache_the_error_says_so(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_go() -> Go:
        raise GoError("Go 1.24 or newer is needed")

    monkeypatch.setattr(Go, "find", no_go)
    with pytest.raises(GoError, match="is needed"):
        crds.argo_crds()
