from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import crds
from sandbox.controlplane.golang import Go, GoError


def definition(file: str) -> dict[str, Any]:
    """What stands for the definition of a file: each part of its `spec` is a string."""
    part = {"type": "string"}
    names = ("canary", "explainer", "transformer", *crds._LEFT_OPEN["predictor", "properties"], "model")
    spec: dict[str, Any] = dict.fromkeys(names, part)
    spec["canary"] = {"type": "array", "items": part}
    spec["predictor"] = {"type": "object", "properties": dict(spec)}
    schema = {"properties": {"spec": {"properties": spec}}}
    names_of = {"plural": file.removesuffix(".yaml").rpartition("_")[2]}
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {"name": file},
        "spec": {"names": names_of, "versions": [{"schema": {"openAPIV3Schema": schema}}]},
    }


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for a fetched Go module; every file says its own path."""
    folder = tmp_path / "module"
    for source in (crds.KSERVE, crds.KNATIVE, crds.ARGO):
        for file in source.files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(json.dumps(definition(file)))
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
    first = crds.kserve_crds(), crds.knative_crds(), crds.argo_crds()

    def no_go() -> Go:
        raise GoError("no Go here")

    monkeypatch.setattr(Go, "find", no_go)
    assert (crds.kserve_crds(), crds.knative_crds(), crds.argo_crds()) == first
    names = [each["metadata"]["name"] for each in (*first[0], *first[1], *first[2])]
    assert names == [*crds.KSERVE.files, *crds.KNATIVE.files, *crds.ARGO.files]


def test_the_parts_of_an_inference_service_that_are_no_predictor_by_model_are_left_open(module: Path) -> None:
    services, *runtimes = crds.kserve_crds()
    spec = services["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert spec["explainer"] == spec["predictor"]["properties"]["sklearn"] == anything
    assert spec["canary"] == {"type": "array", "items": anything}
    assert spec["predictor"]["properties"]["model"] == {"type": "string"}
    assert all(runtime == definition(runtime["metadata"]["name"]) for runtime in runtimes)


def test_without_go_and_without_a_cache_the_error_says_so(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_go() -> Go:
        raise GoError("Go 1.24 or newer is needed")

    monkeypatch.setattr(Go, "find", no_go)
    with pytest.raises(GoError, match="is needed"):
        crds.argo_crds()
