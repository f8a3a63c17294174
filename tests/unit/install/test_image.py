"""What the Dockerfile says of the two images, their bills of materials, and who makes them. `make image-check` runs them."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from requirements import sbom
from sandbox import setup
from tests.unit.install.rendering import ROOT, only, overlay

TARGETS = ("operator", "trainer")
DOCKERFILE = (ROOT / "Dockerfile").read_text()
Instruction = tuple[str, str]


def image_module() -> ModuleType:
    """`make image`'s program."""
    spec = importlib.util.spec_from_file_location("image", ROOT / ".ci" / "image.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


image = image_module()


def stages() -> dict[str, list[Instruction]]:
    """The instructions of each stage, with those of the stages that it begins with."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[Instruction]] = {"": []}
    name = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            below, _, name = rest.partition(" AS ")
            found[name] = [*found.get(below, ())]
        found[name].append((keyword, rest.strip()))
    return found


def of(target: str, keyword: str) -> list[str]:
    return [rest for found, rest in stages()[target] if found == keyword]


def environment(target: str) -> dict[str, str]:
    return dict(one.split("=", 1) for line in of(target, "ENV") for one in shlex.split(line))


def copied(target: str) -> Iterator[tuple[str, str, str]]:
    """Stage (empty: the repository), source and destination of each COPY."""
    for line in of(target, "COPY"):
        options = [word for word in line.split() if word.startswith("--")]
        source, place = [word for word in line.split() if not word.startswith("--")]
        yield "".join(one.removeprefix("--from=") for one in options), source, place


def pins(name: str) -> list[Requirement]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return [Requirement(line.rstrip(" \\")) for line in text.splitlines() if re.match(r"\w", line)]


# --- The Dockerfile -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in stages() if name])
def test_what_is_copied_is_there_and_handed_to_the_builder(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    let_through = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for stage, source, _ in copied(name):
        if stage:
            assert stage in stages()
            continue
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source.split("/")[0], one) for one in let_through), source


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_its_own_part_of_the_repository_and_its_own_packages(target: str) -> None:
    source = {"operator": "operator/trainandserve", "trainer": "trainer"}[target]
    assert list(copied(target)) == [
        (f"{target}-packages", "/venv", "/venv"),
        ("", source, f"/app/{Path(source).name}"),
    ]
    assert [source for _, source, _ in copied(f"{target}-packages")][-1] == f"requirements/{target}.txt"


@pytest.mark.parametrize("name", ["build", *TARGETS])
def test_every_package_of_an_image_is_pinned_with_checksums(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert len(sbom.blocks(text)) == len(pins(name)) > 2
    assert all("--hash=sha256:" in block for block in sbom.blocks(text))


def test_nothing_is_installed_but_what_is_pinned() -> None:
    """From an index only against checksums, and with no tools of its own choice for what has to be built."""
    runs = [rest for instructions in stages().values() for keyword, rest in instructions if keyword == "RUN"]
    commands = [command for rest in runs for command in rest.split("&&") if "bin/pip " in command]
    assert commands
    for command in commands:
        words = set(command.split())
        assert "--no-deps" in words
        assert "--no-index" in words or {"--require-hashes", "--only-binary=:all:"} <= words
        assert "--no-build-isolation" in words or not any("--no-binary" in word for word in words)


def test_the_operators_image_has_no_machine_learning_and_no_way_to_install() -> None:
    names = {one.name.lower() for one in pins("operator")}
    forbidden = ("tensorflow", "keras", "numpy", "kserve", "moto", "scikit", "pip", "setuptools", "pytest")
    assert not [name for name in names if name.startswith(forbidden)]
    assert any("venv --without-pip" in line for line in of("operator-packages", "RUN"))


def test_both_images_and_the_tests_have_the_same_versions() -> None:
    tested = {(one.name, str(one.specifier)) for one in pins("dev")}
    for target in TARGETS:
        assert {(one.name, str(one.specifier)) for one in pins(target)} <= tested


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_the_number_that_the_deployment_asks_for(target: str) -> None:
    pod = only(overlay("cluster-wide"), "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert of(target, "USER")[-1] == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    assert stages()[target].index(("USER", of(target, "USER")[-1])) > max(
        place for place, (keyword, _) in enumerate(stages()[target]) if keyword in ("RUN", "COPY")
    )
    assert {"USER", "HOME"} <= set(environment(target))  # a bare uid has neither


def test_the_operators_image_starts_the_command_that_the_deployment_completes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainandserve.__main__ import main

    (container,) = only(overlay("cluster-wide"), "Deployment")["spec"]["template"]["spec"]["containers"]
    command, default = (json.loads(of("operator", keyword)[-1]) for keyword in ("ENTRYPOINT", "CMD"))
    assert command == ["python3", "-m", "trainandserve"] and default == container["args"]
    assert "command" not in container
    monkeypatch.setenv("TAS_WORKERS", "0")  # so far it comes, and no further
    assert main(default) == 2
    assert capsys.readouterr().err.startswith("TAS_WORKERS: ")
    assert of("operator", "EXPOSE") == [str(container["ports"][0]["containerPort"])]


def test_where_only_the_operator_is_installed_the_command_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainandserve.__main__ import main

    assert not {"rich", "pillow"} & {one.name for one in pins("operator")}
    monkeypatch.setitem(sys.modules, "trainandserve.cli.program", None)
    assert main(["status"]) == 2
    assert capsys.readouterr().err.startswith("This is the operator alone, and knows only: run.")


def test_the_images_python_is_one_that_everything_is_set_up_for() -> None:
    major, minor = map(int, sbom.python_of(DOCKERFILE).split("."))
    assert setup.OLDEST <= (major, minor) <= setup.NEWEST


def test_nothing_is_fetched_but_packages() -> None:
    assert not re.search(r"\b(curl|wget|apt-get|git clone)\b|^ADD ", DOCKERFILE, re.MULTILINE)
    assert ":latest" not in DOCKERFILE


# --- Who makes them -----------------------------------------------------------------------------------------------


def test_a_machine_that_cannot_make_images_is_told_so_in_a_sentence(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n")
    docker.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "image.py")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "No image was made: docker is here, but its daemon does not answer; podman and buildah are not here. "
        "Start the daemon, or install one that needs none: buildah or podman.\n"
    )


def test_the_builder_is_told_target_base_and_pips_settings(tmp_path: Path) -> None:
    record = tmp_path / "record"
    builder = tmp_path / "podman"
    builder.write_text(f'#!/bin/sh\necho "$@" >>{record}\n')
    builder.chmod(0o755)
    base = f"python:3.11-slim-bookworm@sha256:{'0' * 64}"
    done = subprocess.run(
        [
            *[sys.executable, str(ROOT / ".ci" / "image.py"), "--prefix", "registry.example/team"],
            *["--tag", "7", "--base", base, "--pip-conf", "/pip.conf"],
        ],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *[f"registry.example/team/{target}:7" for target in TARGETS],
        f"built on {base}",
    ]
    asked, *built = record.read_text().splitlines()
    assert asked == "info"
    for line, target in zip(built, TARGETS, strict=True):
        words = f"build --target {target} --tag registry.example/team/{target}:7 --build-arg BASE={base}"
        assert line.startswith(words) and "--secret=id=pip,src=/pip.conf" in line


# --- Bills of materials -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=TARGETS)
def bill(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An image and its bill."""
    return request.param, sbom.bill(request.param)


def test_a_bill_names_every_package_that_the_image_holds_with_the_checksums_of_its_pin(
    bill: tuple[str, str],
) -> None:
    target, found = bill[0], json.loads(bill[1])
    elsewhere = {one.name for one in pins(target) if one.marker and "win32" in str(one.marker)}
    assert {one["name"] for one in found["components"]} == {one.name for one in pins(target)} - elsewhere
    text = (ROOT / "requirements" / f"{target}.txt").read_text()
    pinned = {block.split()[0]: set(re.findall(r"sha256:(\w+)", block)) for block in sbom.blocks(text)}
    for one in found["components"]:
        (files,) = one["externalReferences"]
        assert {each["content"] for each in files["hashes"]} == pinned[f"{one['name']}=={one['version']}"]


def test_a_bill_says_whose_it_is_and_what_was_asked_for(bill: tuple[str, str]) -> None:
    target, found = bill[0], json.loads(bill[1])
    name = found["metadata"]["component"]["bom-ref"]
    assert name == f"trainandserve-{target}"
    (asked,) = [one["dependsOn"] for one in found["dependencies"] if one["ref"] == name]
    assert any(one.startswith("pkg:pypi/kfp@2.17.0") for one in asked)
    assert {one["bom-ref"] for one in found["components"]} >= set(asked)


def test_the_same_pins_make_the_same_bill(bill: tuple[str, str]) -> None:
    assert sbom.bill(bill[0]) == bill[1]


def test_cyclonedxs_schema_takes_a_bill_and_would_refuse_another() -> None:
    found = json.loads(sbom.bill("operator"))
    few = {**found, "components": found["components"][:3], "dependencies": found["dependencies"][:3]}
    assert sbom.wrong(json.dumps(few)) == ""
    assert "libary" in sbom.wrong(json.dumps(few).replace('"library"', '"libary"'))


def test_what_is_pinned_for_other_systems_only_is_left_out() -> None:
    text = (
        "a==1 \\\n    --hash=sha256:00\n"
        "b==2 ; sys_platform == 'win32' \\\n    --hash=sha256:01\n"
        "# a remark\n"
        "c==3 ; python_full_version < '3.12' \\\n    --hash=sha256:02 \\\n    --hash=sha256:03\n"
    )
    assert sbom.pins(text) == {"a": ("1", ("00",)), "c": ("3", ("02", "03"))}
