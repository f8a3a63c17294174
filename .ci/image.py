"""Build the two images of the Dockerfile with whatever builder is here: docker, podman or buildah.

    make image [ARGS="--prefix registry.example/team --base python:3.11-slim-bookworm@sha256:… --target operator"]

Says at the end what was built on what: the base by its digest, to be given as --base (or written into the Dockerfile) for the
same images again. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("operator", "trainer")
BUILDERS = ("docker", "podman", "buildah")


class NoBuilderError(Exception):
    """Nothing here makes images; the message says what was found."""


def find_builder() -> str:
    """The first builder that is here and answers.

    Raises
    ------
    NoBuilderError
        There is none.
    """
    found = [name for name in BUILDERS if shutil.which(name)]
    silent = []
    for name in found:
        asked = subprocess.run([name, "info"], check=False, capture_output=True, text=True)
        if asked.returncode == 0:
            return name
        silent.append(name)
    absent = [name for name in BUILDERS if name not in found]
    said = [f"{name} is here, but its daemon does not answer" for name in silent]
    said += [f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not here"] if absent else []
    raise NoBuilderError(
        f"No image was made: {'; '.join(said)}. Start the daemon, or install one that needs none: buildah or podman."
    )


def base_of(dockerfile: str) -> str:
    """The base that the Dockerfile names."""
    lines = dockerfile.splitlines()
    return next(line.removeprefix("ARG BASE=").strip() for line in lines if line.startswith("ARG BASE="))


def command(builder: str, target: str, chosen: argparse.Namespace) -> list[str]:
    """What builds one image."""
    found = [builder, "build", "--target", target, "--tag", f"{chosen.prefix}/{target}:{chosen.tag}"]
    found += ["--build-arg", f"BASE={chosen.base}", "--file", str(ROOT / "Dockerfile")]
    secrets = {"pip": chosen.pip_conf, "ca": chosen.pip_ca}
    found += [f"--secret=id={name},src={path.resolve()}" for name, path in secrets.items() if path]
    found += ["--layers"] if builder == "buildah" else []  # the others keep what did not change by themselves
    return [*found, str(ROOT)]


def digest_of(builder: str, image: str) -> str:
    """An image with the digest that its registry knows it by; empty where it came from none."""
    if "@" in image:
        return image
    inspect = ["inspect", "--type", "image"] if builder == "buildah" else ["image", "inspect"]
    form = "{{.FromImageDigest}}" if builder == "buildah" else "{{index .RepoDigests 0}}"
    done = subprocess.run(
        [builder, *inspect, "--format", form, image], check=False, capture_output=True, text=True
    )
    said = done.stdout.strip()
    if done.returncode != 0 or "sha256:" not in said:
        return ""
    return f"{image}@sha256:{said.partition('sha256:')[2]}"


def main(arguments: list[str] | None = None) -> int:
    """Build; 0, 1 where nothing can build, or what the builder returned."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    parser = argparse.ArgumentParser(description="Build the images of the Dockerfile.")
    parser.add_argument("--prefix", default="trainandserve", help="registry and folder of the images' names")
    parser.add_argument("--tag", default=version, help="their tag; default: this version")
    parser.add_argument(
        "--base", default=base_of((ROOT / "Dockerfile").read_text()), help="what they stand on"
    )
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one")
    parser.add_argument("--pip-conf", type=Path, help="pip.conf of another package index")
    parser.add_argument("--pip-ca", type=Path, help="certificates that it names as /etc/pip-ca.pem")
    chosen = parser.parse_args(arguments)
    try:
        builder = find_builder()
    except NoBuilderError as error:
        print(error, file=sys.stderr)
        return 1
    for target in chosen.target or TARGETS:
        done = subprocess.run(command(builder, target, chosen), check=False)
        if done.returncode != 0:
            return done.returncode
        print(f"{chosen.prefix}/{target}:{chosen.tag}", flush=True)
    base = digest_of(builder, chosen.base)
    print(f"built on {base or f'{chosen.base}, whose digest {builder} does not know'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
