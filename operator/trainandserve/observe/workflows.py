"""Where the Workflows of a resource's runs are, and a live look at them."""

from __future__ import annotations

from ..cache import workflow
from ..names import KFP_RUN_LABEL
from ..observation import Workflow
from .world import World

WORKFLOWS = "/apis/argoproj.io/v1alpha1"


async def run_namespace(world: World, namespace: str) -> str:
    """Where the runs of a resource execute: its own namespace, or that of a single-user installation."""
    return namespace if await world.kfp.multi_user() else world.settings.kfp_namespace


async def live_workflows(world: World, namespace: str, run_ids: list[str]) -> tuple[Workflow, ...]:
    """The Workflows of these runs, by a live list: what it does not show is not there.

    Raises
    ------
    Unreachable, Refused
        There is no answer that means so.
    """
    where = await run_namespace(world, namespace)
    selector = f"{KFP_RUN_LABEL} in ({','.join(run_ids)})"
    path = f"{WORKFLOWS}/namespaces/{where}/workflows"
    items = await world.kubernetes.list_all(path, selector, metadata_only=True)
    return tuple(workflow(item["metadata"]) for item in items)
