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
from sandbox.platform import BUCKETS, Platform, platform
from sandbox.processes import ProcessError
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
        starting = platform(folder, say=_say, operator=operator, multi_user=multi_user)
        with starting as running:
            _put_digits(running)
            print(_what_there_is(running, time.monotonic() - began, operator, multi_user), flush=True)
            while True:
                running.check()
                time.sleep(CHECK_SECONDS)


def _say(part: str) -> None:
    print(f"starting: {part}", flush=True)


def _put_digits(running: Platform) -> None:
    folder = running.folder / "digits"
    write_digits(folder)
    for file in folder.iterdir():
        running.s3().upload_file(str(file), BUCKETS[0], f"digits/{file.name}")


def _what_there_is(running: Platform, seconds: float, operator: bool, multi_user: bool) -> str:
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
    by_hand = f"\nThe operator is yours to start:\n  . {settings}; {_python()} -m trainandserve run\n"
    mode = f"multi-user; a token: {running.folder / 'kfp-token'}" if multi_user else "single-user"
    return f"""
The sandbox is up after {seconds:.0f} s. Ctrl-C ends it and removes everything.

  export KUBECONFIG={shlex.quote(str(running.kubeconfig))}

  namespace   {running.namespace}, the default of this KUBECONFIG; its Secret for S3 is there
  logs        {running.logs}
  S3          {running.s3_url}, buckets {", ".join(BUCKETS)}; its keys: . {keys}
  Pipelines   {running.kfp_url} ({mode})
  data        s3://{BUCKETS[0]}/digits/ is there: 1,797 handwritten digits
{"" if operator else by_hand}
Try, in another shell:
  kubectl apply -f examples/digits.yaml
  kubectl get trainandserves --watch
  kubectl describe trainandserve digits
  kubectl annotate trainandserve digits trainandserve.io/retrain="$(date)" --overwrite
The same without kubectl:
  {_python()} -m sandbox.client apply examples/digits.yaml
  {_python()} -m sandbox.client get | describe digits | predict digits | retrain digits
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
