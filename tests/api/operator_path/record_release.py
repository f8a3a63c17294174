"""Record what this release stores, before it is one: ``python -m pytest tests/api/operator_path/record_release.py``.

It is no test of the suite. It writes tests/data/releases/<version>: the definition, and resources in every phase as the operator left
them. A recording is never made anew: that release has been, and what it stored is in clusters.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable

import yaml

from tests.api.bad_resources import good_resource
from tests.api.conftest import OUR_CRDS
from tests.api.operator_path.release import DEPLOYMENTS, SETTINGS, Release
from tests.api.operator_path.site import Ground, told
from tests.api.operator_path.training import Lesson
from tests.harness.api import APPLY, OURS, SERVICES, WORKFLOWS, Json, until
from tests.unit.upgrade.stored import RELEASES

VERSION = "0.1.0"


async def test_record(ground: Ground) -> None:
    folder = RELEASES / VERSION
    folder.mkdir(parents=True)
    async with Release.made(ground, settings=SETTINGS) as site:
        await _every_phase(site)
        collections = {
            "trainandserves": OURS,
            "inferenceservices": SERVICES,
            "deployments": DEPLOYMENTS,
            "workflows": WORKFLOWS,
        }
        recording = await site.recording(collections)
    (folder / "objects.json").write_text(_a_line_each(recording))
    shutil.copy(OUR_CRDS / "trainandserves.yaml", folder)
    assert yaml.safe_load((folder / "trainandserves.yaml").read_text())["kind"] == "CustomResourceDefinition"


def _a_line_each(recording: Json) -> str:
    """The recording as JSON with a line for every object."""
    parts = []
    for name, value in sorted(recording.items()):
        inside = value if isinstance(value, list) else None
        text = json.dumps(value) if inside is None else "[\n" + ",\n".join(map(_line, inside)) + "\n]"
        parts.append(f'"{name}": {text}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(body: Json) -> str:
    return json.dumps(body, sort_keys=True)


async def _every_phase(site: Release) -> None:
    """Resources named after what has become of them."""
    for name in ("serving", "rejected", "suspended", "retrained", "retraining", "regressed"):
        await site.apply(name)
        await site.serves(name, 1)
    await site.apply("suspended", suspend=True)
    await _becomes(site, "suspended", lambda status: status["phase"] == "Suspended")
    site.lesson("rejected", Lesson(metrics={"accuracy": 0.1}))
    await site.apply("rejected", training={"parameters": {"epochs": 2}})
    await _becomes(site, "rejected", _rejected)
    await site.retrain("retrained", "once more")
    await site.serves("retrained", 2)
    site.lesson("regressed", Lesson(metrics={"accuracy": 0.6}))
    bounds = {"metrics": [{"name": "accuracy", "min": 0.5, "maxRegression": 0.01}]}
    await site.apply("regressed", training={"parameters": {"epochs": 3}}, evaluation=bounds)
    await _becomes(site, "regressed", _rejected)

    site.lesson("failed", Lesson(fails=("train", "no such column: label")))
    await site.apply("failed", training={"runRetries": 0})
    await _becomes(site, "failed", lambda status: status["phase"] == "Failed")
    site.lesson("retried", Lesson(fails=("train", "the node went away")))
    await site.apply("retried")
    await _becomes(site, "retried", lambda status: (status.get("run") or {}).get("state") == "Failed")
    site.lesson("first-rejected", Lesson(metrics={"accuracy": 0.1}))
    await site.apply("first-rejected")
    await _becomes(site, "first-rejected", lambda status: status["phase"] == "Failed")
    await site.apply("pending", data=False)
    await site.settles("pending", Ready="False/DataNotFound")
    site.lesson("rolling-out", Lesson(model={"loadSeconds": 3600}))
    await site.apply("rolling-out")
    await until(lambda: _rolls_out(site))

    full = {**good_resource(), "metadata": {"name": "every-field"}}
    full["spec"]["suspend"] = True
    path = f"{site.path(OURS, 'every-field')}?fieldManager=kubectl&force=true&fieldValidation=Strict"
    await site.api.call("PATCH", path, full, APPLY)
    await _becomes(site, "every-field", lambda status: status["phase"] == "Suspended")

    for name in ("training", "retraining"):
        site.lesson(name, Lesson(holds="train"))
        await site.apply(name, training={"parameters": {"epochs": 4}})
        await _becomes(site, name, _trains)
    await site.apply("queued")
    await _becomes(site, "queued", lambda status: status["phase"] == "Queued")
    await _at_rest(site)


async def _becomes(site: Release, name: str, holds: Callable[[Json], bool]) -> None:
    await site.status_with(name, lambda status: "phase" in status and holds(status))


def _rejected(status: Json) -> bool:
    return told(status).get("ModelAccepted") == "False/Rejected" and status["phase"] == "Serving"


def _trains(status: Json) -> bool:
    run = status.get("run") or {}
    return run.get("step") == "train" and bool(run.get("trainStartedAt"))


async def _rolls_out(site: Release) -> bool:
    deployment = await site.api.get(site.path(DEPLOYMENTS, "rolling-out-predictor"))
    replicas = (deployment or {}).get("status", {}).get("replicas")
    return bool(replicas) and (await site.status("rolling-out"))["phase"] == "RollingOut"


async def _at_rest(site: Release) -> None:
    """Until the operator has nothing more to write for as long as its slowest timer takes."""
    quiet, writes = time.monotonic(), -1
    while time.monotonic() < quiet + 15:
        if len(site.operator.proxy.writes()) != writes:
            quiet, writes = time.monotonic(), len(site.operator.proxy.writes())
        await asyncio.sleep(0.2)
