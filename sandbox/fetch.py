"""Fetch into the cache folder what the platform needs and is not there: the control plane's programs, KServe's, Knative's and Argo's definitions.

Part of the set-up (`sandbox.setup`), which runs it beside pip: it imports the few packages that are installed first.
"""

from __future__ import annotations

import sys

from sandbox.controlplane.binaries import find_or_build, print_progress
from sandbox.controlplane.golang import GoError
from sandbox.crds import argo_crds, knative_crds, kserve_crds
from sandbox.processes import ProcessError
from sandbox.session import ended_once


def main() -> int:
    """Fetch all; 1 if something cannot be had, 130 if interrupted."""
    try:
        with ended_once():
            find_or_build()
            kserve_crds()
            argo_crds()
            knative_crds()
    except (GoError, ProcessError, OSError) as error:
        print_progress(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
