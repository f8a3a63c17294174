"""The one program: `run` is the operator, everything else is for people (`cli`)."""

from __future__ import annotations

import asyncio
import sys

from pydantic import ValidationError

_ONLY_RUN = (
    "This is the operator alone, and knows only: run. The command line needs {missing}, which is not installed: "
    "install it where you work (docs/cli.md)."
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code. The operator's process loads nothing of the command line."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["run"]:
        return run_operator()
    try:
        from .cli.program import main as command_line
    except ModuleNotFoundError as missing:
        print(_ONLY_RUN.format(missing=missing.name), file=sys.stderr)
        return 2
    return command_line(given)


def run_operator() -> int:
    """Run the operator until it is told to end; 2 where a setting is wrong."""
    from .operation import operate
    from .queries import QueriesError, read_queries
    from .settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        for one in error.errors():
            print(f"TAS_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}", file=sys.stderr)
        return 2
    file = settings.analysis_queries
    try:
        queries = read_queries(file.read_text() if file else "", settings.analysis_namespace_labels)
    except (OSError, UnicodeDecodeError, QueriesError) as error:
        print(f"TAS_ANALYSIS_QUERIES: {error}", file=sys.stderr)
        return 2
    return asyncio.run(operate(settings, queries))


if __name__ == "__main__":
    sys.exit(main())
