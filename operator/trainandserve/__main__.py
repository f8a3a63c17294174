"""The command line: run the operator, compile a resource's pipeline, print the definition."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import yaml
from pydantic import ValidationError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code: 0, 2 for wrong input, 1 for anything else."""
    parser = argparse.ArgumentParser(
        prog="trainandserve", description="From `kubectl apply` to a served model."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator (settings: environment variables TAS_…)")
    commands.add_parser("crd", help="print the custom resource definition")
    compiling = commands.add_parser("compile", help="write the Kubeflow pipeline of a resource")
    compiling.add_argument("-f", "--filename", type=Path, required=True, help="file with one TrainAndServe")
    compiling.add_argument("-o", "--output", type=Path, help="file to write; default: standard output")
    compiling.add_argument(
        "--secret",
        type=Path,
        action="append",
        default=[],
        help="file with a Secret it names: for the S3 endpoint",
    )
    chosen = parser.parse_args(arguments)
    match chosen.command:
        case "run":
            return _run()
        case "crd":
            return _crd()
        case _:
            return _compile(chosen.filename, chosen.output, chosen.secret)


def _run() -> int:
    from .operation import operate
    from .settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        for one in error.errors():
            print(f"TAS_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}", file=sys.stderr)
        return 2
    return asyncio.run(operate(settings))


def _crd() -> int:
    from . import crd

    print(crd.text(), end="")
    return 0


def _compile(filename: Path, output: Path | None, secrets: list[Path]) -> int:
    from .offline import OfflineError, compile_file

    try:
        text = compile_file(filename, secrets)
    except (OfflineError, OSError, yaml.YAMLError) as error:
        print(f"{filename}: {error}", file=sys.stderr)
        return 2
    if output is None:
        print(text, end="")
    else:
        output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
