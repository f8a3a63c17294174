"""The whole platform on this machine, until Ctrl-C: `python -m sandbox`, or `make sandbox`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from sandbox.controlplane.golang import GoError
from sandbox.controlplane.rest import RestError
from sandbox.digits import write_digits
from sandbox.flowers import write_flowers
from sandbox.platform import BUCKETS, START_SECONDS, Platform, platform
from sandbox.processes import ChildProcess, ProcessError
from sandbox.session import ended_once, working_folder

CHECK_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run until interrupted; 130 after Ctrl-C, 1 if a part cannot be started or ends."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--single-user", action="store_true", help="Kubeflow Pipelines without profiles")
    parser.add_argument("--no-operator", action="store_true", help="to run it by hand")
    options = parser.parse_args(arguments)
    try:
        with ended_once():
            _stay_up(multi_user=not options.single_user, operator=not options.no_operator)
    except KeyboardInterrupt:
        return 130
    except (GoError, ProcessError, RestError, OSError) as error:
        print(f"\nThe sandbox ended: {error}", file=sys.stderr)
        return 1
    return 0


def _stay_up(multi_user: bool, operator: bool) -> None:
    began = time.monotonic()
    with working_folder("sandbox") as folder:
        with platform(folder, say=_say, operator=False, multi_user=multi_user) as running:
            _put_data(running)
            child = _first_operator(running) if operator else None
            print(_what_there_is(running, time.monotonic() - began, child, multi_user), flush=True)
            while True:
                child = _kept(running, child)
                running.check()
                time.sleep(CHECK_SECONDS)


def _first_operator(running: Platform) -> ChildProcess:
    _say("operator")
    child = running.start_operator()
    child.wait_for_line(r".* leads", START_SECONDS)
    return child


def _kept(running: Platform, operator: ChildProcess | None) -> ChildProcess | None:
    """The operator, started again if it has ended: what a Deployment does, for those who kill it to see what happens."""
    if operator is None or operator.exit_code is None:
        return operator
    running.stack.drop(operator)
    again = running.start_operator()
    print(
        f"The operator ended with exit code {operator.exit_code}; started again, process {again.pid}.",
        flush=True,
    )
    return again


def _say(part: str) -> None:
    print(f"starting: {part}", flush=True)


def _put_data(running: Platform) -> None:
    for name, write in (("digits", write_digits), ("flowers", write_flowers)):
        write(running.folder / name)
        for file in (running.folder / name).iterdir():
            running.s3().upload_file(str(file), BUCKETS[0], f"{name}/{file.name}")


def _what_there_is(running: Platform, seconds: float, operator: ChildProcess | None, multi_user: bool) -> str:
    keys = _environment_file(
        running.folder / "s3.env",
        {
            "AWS_ACCESS_KEY_ID": running.access_key,
            "AWS_SECRET_ACCESS_KEY": running.secret_key,
            "AWS_ENDPOINT_URL": running.s3_url,
            "AWS_DEFAULT_REGION": "us-east-1",
        },
    )
    settings = _environment_file(running.folder / "operator.env", running.operator_settings)
    kept = f", operator {operator.pid} (started again if it ends)" if operator else ""
    parts = ", ".join(
        f"{child.name} {child.pid}" for child in running.stack.children if child is not operator
    )
    by_hand = f"\nThe operator is yours to start:\n  . {settings}; {_python()} -m trainandserve run\n"
    mode = f"multi-user; a token: {running.folder / 'kfp-token'}" if multi_user else "single-user"
    return f"""
The sandbox is up after {seconds:.0f} s. Ctrl-C ends it and removes everything.

  export KUBECONFIG={shlex.quote(str(running.kubeconfig))}

  namespace   {running.namespace}, the default of this KUBECONFIG; its Secret for S3 is there
  logs        {running.logs}; the steps', which kubectl cannot show here: {running.folder / "kfp" / "logs"}
  processes   {parts}{kept}
  S3          {running.s3_url}, buckets {", ".join(BUCKETS)}; its keys: . {keys}
  Pipelines   {running.kfp_url} ({mode})
  data        s3://{BUCKETS[0]}/digits/: 1,797 handwritten digits; s3://{BUCKETS[0]}/flowers/: a table of 150 irises
{"" if operator else by_hand}
Try, in another shell:
  kubectl apply -f examples/digits.yaml
  kubectl get trainandserves --watch
  kubectl describe trainandserve digits
  kubectl annotate trainandserve digits trainandserve.io/retrain="$(date)" --overwrite
The same without kubectl:
  {_python()} -m sandbox.client apply examples/digits.yaml
  {_python()} -m sandbox.client get | wait digits | describe digits | predict digits | retrain digits
"""


def _python() -> str:
    """This environment's Python, as one types it in this folder."""
    program = os.path.relpath(sys.executable)
    return shlex.quote(sys.executable if program.startswith("..") else program)


def _environment_file(file: Path, variables: Mapping[str, str]) -> Path:
    """Write a file for a shell to source, readable by its owner alone: keys are in it."""
    file.touch(mode=0o600)
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
    return file


if __name__ == "__main__":
    sys.exit(main())
