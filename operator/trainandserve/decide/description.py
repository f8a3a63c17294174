"""What a run's description in Kubeflow Pipelines says, so that the run can be known again by it."""

from __future__ import annotations

import json

from pydantic import ValidationError

from ..observation import KfpRun
from ..resource import Run


def describe(run: Run) -> str:
    """The run as a text."""
    # The inputs may be long, and what would tell them again is the resource itself.
    return json.dumps(run.changed(inputs=None).dump(), sort_keys=True)


def described(run: KfpRun) -> Run | None:
    """The run that a description speaks of; None where it is not one of ours."""
    try:
        found = Run.model_validate_json(run.description)
    except ValidationError:
        return None
    return found if found.id == run.id else None
