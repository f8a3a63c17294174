"""The operator's image, and a process of it under the restrictions of the Deployment."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from requirements import sbom
from sandbox.processes import ChildProcess
from tests.api.operator_path.conftest import Ground
from tests.api.operator_path.site import Site
from tests.harness.process import OperatorProcess
from tests.image import confinement
from tests.image.conftest import Rooms
from tests.image.images import Image
from tests.unit.install.rendering import only, overlay

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
INSTALLED = (
    "import importlib.metadata, json\n"
    "print(json.dumps({d.name.lower().replace('_', '-').replace('.', '-'): d.version"
    " for d in importlib.metadata.distributions(path=['/venv/lib/python' + __import__('sysconfig').get_python_version()"
    " + '/site-packages'])}))"
)


def of_the_deployment() -> dict[str, str]:
    """The variables that the Deployment gives the container, but for what is the platform's own."""
    objects = overlay("cluster-wide")
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["run"]
    found = dict(only(objects, "ConfigMap")["data"])
    return found | {one["name"]: one["value"] for one in container["env"] if "value" in one}


def test_it_holds_the_packages_of_its_bill_and_nothing_else(operator_image: Image, rooms: Rooms) -> None:
    done = confinement.run(operator_image, ["python3", "-c", INSTALLED], rooms())
    assert done.returncode == 0, done.stderr
    held = json.loads(done.stdout)
    bill = json.loads(sbom.bill("operator"))
    assert held == {one["name"]: one["version"] for one in bill["components"]}
    assert not {"tensorflow-cpu", "kserve", "moto", "pip"} & set(held)
    print(f"\noperator's image: {operator_image.size():.0f} MB of files")


def test_its_user_can_write_nowhere_and_gain_nothing(operator_image: Image, rooms: Rooms) -> None:
    script = "id -u; id -G; grep -E '^(NoNewPrivs|CapEff|CapPrm)' /proc/self/status; touch /tmp/x /app/x /venv/x /x"
    done = confinement.run(operator_image, ["/bin/sh", "-c", script], rooms())
    assert done.stdout.split() == [
        *["65532", "65532"],
        *["CapPrm:", "0" * 16, "CapEff:", "0" * 16, "NoNewPrivs:", "1"],
    ]
    assert done.stderr.count("Read-only file system") == 4
    assert operator_image.user == "65532:65532"


def test_its_user_could_write_no_program_of_its_own(operator_image: Image) -> None:
    """Also where somebody leaves the file system writable."""
    writable = [
        path
        for folder in ("app", "venv", "usr")
        for path in (operator_image.root / folder).rglob("*")
        if not path.is_symlink() and (path.stat().st_mode & 0o002 or path.stat().st_uid == confinement.UID)
    ]
    assert not writable


def test_asked_for_more_than_to_run_it_says_where_that_is(operator_image: Image, rooms: Rooms) -> None:
    done = confinement.run(operator_image, [*operator_image.command, "crd"], rooms())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("This is the operator alone, and knows only: run.")


def test_a_setting_that_is_wrong_ends_the_start_with_its_name(operator_image: Image, rooms: Rooms) -> None:
    command = [*operator_image.command, *operator_image.arguments]
    done = confinement.run(operator_image, command, rooms(), environment={"TAS_PORT": "tcp://10.0.0.1:80"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("TAS_PORT: ") and done.stderr.count("\n") == 1


# --- Working ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def site(ground: Ground, operator_image: Image, tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose operator is a process of the image, told what a pod is told, by the ways that a pod is."""
    async with Site.made(ground, operator=False) as made:
        account = tmp_path / "account"
        account.mkdir()
        (account / "token").write_text(ground.token)
        (account / "namespace").write_text("trainandserve")
        shutil.copy(ground.plane.ca_file, account / "ca.crt")
        tokens = tmp_path / "tokens"
        tokens.mkdir()
        shutil.copy(ground.kfp_token, tokens / "token")
        for file in (*account.iterdir(), *tokens.iterdir()):
            file.chmod(0o644)
        room = tmp_path / "room"
        room.mkdir()
        host, _, port = ground.plane.server.removeprefix("https://").partition(":")
        own = {name: value for name, value in made.settings.items() if name != "TAS_KFP_TOKEN_PATH"}
        environment: dict[str, Any] = {**operator_image.environment, **of_the_deployment(), **own}
        environment |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        command = confinement.command(
            operator_image,
            [*operator_image.command, "run"],
            room,
            mounts={ACCOUNT: account, "/var/run/secrets/kubeflow/pipelines": tokens},
        )
        child = ChildProcess.start("operator", command, tmp_path / "operator.log", env=environment)
        made.operators.append(OperatorProcess(child, None))  # type: ignore[arg-type] # straight to the API server
        yield made


def is_confined(pid: int) -> bool:
    """Whether a process has the user and no more than the capabilities of a restricted pod: none."""
    said = Path(f"/proc/{pid}/status").read_text()
    return all(re.search(rf"^{line}$", said, re.MULTILINE) for line in (r"Uid:(\s+65532)+", r"CapEff:\s+0+"))


async def test_it_takes_a_resource_to_served_as_a_restricted_pod(site: Site) -> None:
    operator = site.operator
    await operator.leads()
    assert is_confined(operator.pid)
    started = operator.memory()
    await site.apply("digits")
    await site.serves("digits", 1)
    print(
        f"\noperator: {started:.0f} MB after the start, {operator.memory():.0f} MB with one resource served"
    )
    await site.delete("digits")
    await site.gone("digits")
    await site.check()


async def test_its_probes_answer_and_it_ends_in_order(site: Site) -> None:
    operator = site.operator
    await operator.leads()
    port = re.findall(r"metrics on port (\d+)", operator.log)[-1]
    async with aiohttp.ClientSession() as http:
        for page in ("healthz", "readyz", "metrics"):
            async with http.get(f"http://127.0.0.1:{port}/{page}") as answer:
                assert answer.status == 200
    lines = [json.loads(line) for line in operator.log.splitlines()]  # the overlay's log format
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    operator.signal(signal.SIGTERM)
    assert await operator.ended() == 0
