"""The suite of tests/cluster against the sandbox: `python -m sandbox.e2e`, or `make e2e-sandbox`.

The suite knows nothing of the sandbox: it is told by environment variables where everything is, as on any cluster.
Further arguments are pytest's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from sandbox.controlplane.golang import GoError
from sandbox.controlplane.rest import RestError
from sandbox.platform import BUCKETS, KFP_NAMESPACE, ROOT, Platform, platform
from sandbox.processes import ProcessError
from sandbox.session import ended_once, working_folder

_CLEAN_UP_SECONDS = 120.0
_IMAGES = "trainandserve/"
# What is waited for in silence on a cluster, where anything may be slow, need not be waited for so long here.
_SETTINGS = {"TAS_SUBMIT_PATIENCE": "10s", "TAS_LOST_PATIENCE": "10s", "TAS_RUN_BACKOFF": "2s"}


def main(arguments: list[str] | None = None) -> int:
    """Run the suite; pytest's exit code, 130 after Ctrl-C, 1 if the sandbox cannot be started."""
    options = sys.argv[1:] if arguments is None else arguments
    try:
        with ended_once(), working_folder("e2e") as folder:
            starting = platform(
                folder,
                say=lambda part: print(f"starting: {part}", flush=True),
                operator=False,
                settings=_SETTINGS,
                known_images=[_IMAGES],
            )
            with starting as running:
                return _suite(running, options)
    except KeyboardInterrupt:
        return 130
    except (GoError, ProcessError, RestError, OSError) as error:
        print(f"\nThe sandbox ended: {error}", file=sys.stderr)
        return 1


def _suite(running: Platform, options: Sequence[str]) -> int:
    """Run pytest beside the sandbox; what it started itself ends before this returns."""
    command = [sys.executable, "-m", "pytest", "tests/cluster", "-m", "e2e", "-v", "--no-header", *options]
    environment = {**os.environ, **running.operator_settings, **_told(running)}
    # In a session of its own: a Ctrl-C comes from here, once.
    child = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(_CLEAN_UP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _told(running: Platform) -> Mapping[str, str]:
    return {
        "KUBECONFIG": str(running.kubeconfig),
        "TAS_E2E_STORAGE": f"s3://{BUCKETS[1]}/e2e/",
        "TAS_E2E_S3_ENDPOINT": running.s3_url.removeprefix("http://"),
        "TAS_E2E_S3_HTTPS": "false",
        "TAS_E2E_KFP_ENDPOINT": running.kfp_url,
        "TAS_E2E_KFP_NAMESPACE": KFP_NAMESPACE,
        "TAS_E2E_OPERATOR": "process",
        "AWS_ACCESS_KEY_ID": running.access_key,
        "AWS_SECRET_ACCESS_KEY": running.secret_key,
    }


if __name__ == "__main__":
    sys.exit(main())
