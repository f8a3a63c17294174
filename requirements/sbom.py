"""Bills of materials of the two images: what each holds, by name, version and checksums, as CycloneDX.

    make sbom                                   writes build/sbom/operator.cdx.json and build/sbom/trainer.cdx.json

Made of the pinned requirement files with CycloneDX's own library, and held against its schema. What the pins name only for
other systems is left out: the images are Linux. The same pins give the same bytes, so that two bills can be compared. The
Debian packages of the base image are in the base's own bill.
"""

from __future__ import annotations

import re
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ("operator", "trainer")
_LINUX = {
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""A bill of the same pins is the same bill, whenever it is written."""


def pins(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Version and checksums of the packages in a requirement file that an image holds, by name."""
    version = python_of((ROOT / "Dockerfile").read_text())
    environment: dict[str, str] = _LINUX | {"python_version": version, "python_full_version": f"{version}.0"}
    found = {}
    for block in blocks(text):
        requirement = Requirement(block.split("--hash")[0].replace("\\\n", " ").strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (specifier,) = requirement.specifier
            hashes = tuple(re.findall(r"--hash=sha256:(\w+)", block))
            found[canonicalize_name(requirement.name)] = (specifier.version, hashes)
    return found


def blocks(text: str) -> list[str]:
    """One for each requirement of a file: its line and the lines that it goes on in."""
    said = re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE)
    return [block for block in re.split(r"(?<!\\)\n", said) if block.strip()]


def python_of(dockerfile: str) -> str:
    """Which Python the images have, such as ``3.11``."""
    found = re.search(r"^ARG BASE=\S*python:(\d+\.\d+)", dockerfile, re.MULTILINE)
    if found is None:
        raise ValueError("the Dockerfile does not say which Python it stands on: ARG BASE=…python:3.x…")
    return found[1]


def bill(image: str) -> str:
    """The bill of an image, as JSON."""
    folder = ROOT / "requirements"
    text = (folder / f"{image}.txt").read_text()
    asked = {
        canonicalize_name(Requirement(line).name) for line in blocks((folder / f"{image}.in").read_text())
    }
    packages = {name: _package(name, *pin) for name, pin in pins(text).items()}
    about = _image(image)
    bom = Bom(
        components=packages.values(),
        metadata=BomMetaData(component=about, timestamp=_NO_TIME),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{about.name} {text}"),
    )
    bom.register_dependency(about, [packages[name] for name in sorted(asked)])
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def _image(image: str) -> Component:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, version = f"{project['name']}-{image}", project["version"]
    return Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=version,
        description=project["description"],
        bom_ref=name,
    )


def _package(name: str, version: str, hashes: tuple[str, ...]) -> Component:
    purl = PackageURL("pypi", name=name, version=version)
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(f"https://pypi.org/project/{name}/{version}/"),
        comment="its files, of which the image holds one",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in hashes],
    )
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=str(purl),
        purl=purl,
        external_references=[files],
    )


def wrong(text: str) -> str:
    """What CycloneDX's schema says against a bill; empty if nothing."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return "" if error is None else str(error)


def main() -> int:
    """Write both bills; 1 if one is not as the schema wants it."""
    folder = ROOT / "build" / "sbom"
    folder.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        text = bill(image)
        if said := wrong(text):
            print(f"{image}: {said}", file=sys.stderr)
            return 1
        file = folder / f"{image}.cdx.json"
        file.write_text(text)
        print(file.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
