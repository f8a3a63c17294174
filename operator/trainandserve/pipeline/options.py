"""What ``spec.training`` says about the steps' pods, as settings of KFP tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kfp import kubernetes

from ..resource import Quantity, Retries, Toleration, Training
from ..storage_access import StorageAccess

ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - the one place that any user may write to in a restricted pod; caches go there
    "PYTHONUNBUFFERED": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}

DEFAULT_RETRIES = Retries(limit=2)
DEFAULT_BACKOFF = timedelta(seconds=30)
DEFAULT_TIMEOUT = timedelta(hours=24)

_LONGEST_BACKOFF = timedelta(days=3)
"""Doubled ten times it still fits Argo's 64-bit nanoseconds."""

_LONGEST_WAIT = timedelta(days=30)
_LONGEST_TRIES = timedelta(days=3650)
_LARGEST_DEADLINE = 2**31 - 1
"""Largest activeDeadlineSeconds that Kubernetes takes."""

_LARGEST_COUNT = 2**63 - 1
_UNITS = {"": 1, "k": 1000, "K": 1000}
_UNITS.update({letter: 1000**power for power, letter in enumerate("MGTPE", start=2)})
_UNITS.update({letter + "i": 1024**power for power, letter in enumerate("KMGTPE", start=1)})


def set_common(task: Any, training: Training) -> None:
    """Retries, pull secrets, environment and an end for what hangs: the same for every step."""
    for name, value in ENVIRONMENT.items():
        task.set_env_variable(name, value)
    _set_retries(task, training)
    # A step that hangs must end some day; the train step's own timeout replaces this.
    kubernetes.set_timeout(task, int(DEFAULT_TIMEOUT.total_seconds()))
    if training.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(training.image_pull_secrets))


def set_storage(task: Any, access: StorageAccess) -> None:
    """The way to a bucket: settings by value, credentials by reference to the Secret."""
    for name, value in access.environment().items():
        task.set_env_variable(name, value)
    if access.secret_name and not access.anonymous:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        kubernetes.use_secret_as_env(task, access.secret_name, {key: key for key in keys})
        kubernetes.use_secret_as_env(
            task, access.secret_name, {"AWS_SESSION_TOKEN": "AWS_SESSION_TOKEN"}, optional=True
        )


def set_training(task: Any, training: Training) -> None:
    """Compute, placement, timeout and metadata: the train step's own."""
    _set_resources(task, training)
    for key, value in sorted((training.node_selector or {}).items()):
        kubernetes.add_node_selector(task, key, value)
    for toleration in training.tolerations or ():
        _add_toleration(task, toleration)
    for key, value in sorted((training.pod_labels or {}).items()):
        kubernetes.add_pod_label(task, key, value)
    for key, value in sorted((training.pod_annotations or {}).items()):
        kubernetes.add_pod_annotation(task, key, value)
    kubernetes.set_timeout(task, timeout_seconds(training))


def timeout_seconds(training: Training) -> int:
    """Longest time of the train step's pod, in seconds, counted from its start on a node."""
    return min(int((training.timeout or DEFAULT_TIMEOUT).total_seconds()), _LARGEST_DEADLINE)


def cpu(quantity: Quantity) -> str:
    """A number of CPUs as KFP takes it, which is also how Kubernetes takes it: ``2``, ``0.5``, ``500m``."""
    return str(quantity)


def memory(quantity: Quantity) -> str:
    """Bytes as both KFP and Kubernetes take them: KFP knows no ``k`` and Kubernetes no ``K``, so thousands are multiplied out."""
    text = str(quantity)
    return str(whole(text)) if text[-1] in "kK" else text


def whole(quantity: Quantity) -> int:
    """A quantity as a whole number, at most the largest that Kubernetes holds."""
    digits = str(quantity).rstrip("EPTGMKki")
    count = int(digits) * _UNITS[str(quantity)[len(digits) :]]
    return min(count, _LARGEST_COUNT)


def _set_resources(task: Any, training: Training) -> None:
    limits = (training.resources and training.resources.limits) or {}
    requests = (training.resources and training.resources.requests) or {}
    if "cpu" in limits:
        task.set_cpu_limit(cpu(limits["cpu"]))
    if "cpu" in requests:
        task.set_cpu_request(cpu(requests["cpu"]))
    if "memory" in limits:
        task.set_memory_limit(memory(limits["memory"]))
    if "memory" in requests:
        task.set_memory_request(memory(requests["memory"]))
    for accelerator in (name for name in limits if "/" in name):
        if count := whole(limits[accelerator]):
            task.set_accelerator_type(accelerator).set_accelerator_limit(count)


def _add_toleration(task: Any, toleration: Toleration) -> None:
    kubernetes.add_toleration(
        task,
        key=toleration.key,
        operator=toleration.operator,
        value=toleration.value,
        effect=toleration.effect,
        toleration_seconds=toleration.toleration_seconds,
    )


def _set_retries(task: Any, training: Training) -> None:
    """Tries of a step.

    Argo measures KFP's *backoff max duration* from the first try's start, runs included: the SDK's default of an hour would
    leave a longer training without another try, and cut short the tries it has. So it is set beyond all of them.
    """
    retries = training.retries or DEFAULT_RETRIES
    backoff = min(retries.backoff or DEFAULT_BACKOFF, _LONGEST_BACKOFF)
    one_try = timedelta(seconds=timeout_seconds(training)) + _LONGEST_WAIT
    longest = min(one_try * (retries.limit + 1) + backoff * 2**retries.limit, _LONGEST_TRIES)
    task.set_retry(
        num_retries=retries.limit,
        backoff_duration=f"{int(backoff.total_seconds())}s",
        backoff_factor=2,
        backoff_max_duration=f"{int(longest.total_seconds())}s",
    )
