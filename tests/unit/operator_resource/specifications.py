"""Random specifications, in the words of the API and within the bounds of the definition."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from trainandserve.durations import format_duration

_EXAMPLES = "50" if os.environ.get("CI") == "true" else "20"
thorough = settings(
    max_examples=int(os.environ.get("TRAINANDSERVE_EXAMPLES", _EXAMPLES)), deadline=None, derandomize=True
)
"""TRAINANDSERVE_EXAMPLES=5000 looks harder."""

Strategy = st.SearchStrategy[Any]

_MODULE = r"[A-Za-z_][A-Za-z0-9_]{0,8}([.][A-Za-z_][A-Za-z0-9_]{0,8}){0,3}"
_NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)
_DURATIONS = st.integers(1, 31_536_000).map(lambda seconds: format_duration(timedelta(seconds=seconds)))
_KEYS = st.from_regex(r"([a-z0-9]{1,9}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,9}[A-Za-z0-9])?", fullmatch=True)
_VALUES = st.from_regex(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,9})?[A-Za-z0-9])?", fullmatch=True)
_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True)
_URIS = st.from_regex(r"s3://[a-z0-9]{3,9}(/[A-Za-z0-9=_é-]{1,9}){0,3}/?", fullmatch=True)
_LABELS = st.dictionaries(_KEYS, _VALUES, max_size=3)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _NUMBERS | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _words(required: dict[str, Strategy] | None = None, **optional: Strategy) -> Strategy:
    return st.fixed_dictionaries(required or {}, optional=optional)


_QUANTITIES = _words(
    cpu=st.integers(0, 99) | st.from_regex("[0-9]{1,4}m|[0-9][.][0-9]", fullmatch=True),
    memory=st.integers(0, 2**53) | st.from_regex("[0-9]{1,4}(Ki|Mi|Gi)?", fullmatch=True),
)
_TOLERATION = _words(
    {"key": _KEYS},
    operator=st.just("Equal"),
    value=_VALUES,
    effect=st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
)
_TRAINING = _words(
    image=st.sampled_from(["trainer", "registry:5000/a/b:tag"]),
    entrypoint=st.from_regex(_MODULE, fullmatch=True),
    parameters=st.dictionaries(st.from_regex("[a-z][A-Za-z]{0,9}", fullmatch=True), _JSON, max_size=4),
    packages=st.lists(st.sampled_from(["a==1.0", "b[c]>=2,<3", "d"]), max_size=3),
    resources=_words(limits=_QUANTITIES, requests=_QUANTITIES),
    nodeSelector=_LABELS,
    tolerations=st.lists(_TOLERATION, max_size=3),
    serviceAccountName=_NAMES,
    imagePullSecrets=st.lists(_NAMES, max_size=3),
    podLabels=_LABELS,
    podAnnotations=st.dictionaries(_KEYS, st.text(max_size=9), max_size=3),
    retries=_words({"limit": st.integers(0, 10)}, backoff=_DURATIONS),
    runRetries=st.integers(0, 10),
    timeout=_DURATIONS,
    caching=st.booleans(),
)
_METRIC = _words(
    {"name": _NAMES},
    min=_NUMBERS,
    max=_NUMBERS,
    maxRegression=st.floats(0, 1e12),
    minSamples=st.integers(1, 1000),
)
_ANALYSIS = _words(
    {"query": st.sampled_from(["error-rate", "p90"])},
    min=_NUMBERS,
    max=_NUMBERS,
    interval=_DURATIONS,
    failureLimit=st.integers(0, 100),
    consecutiveErrorLimit=st.integers(0, 100),
    noTraffic=st.sampled_from(["Hold", "Pass", "Fail"]),
)
_SERVING = _words(
    modelFormat=st.just("tensorflow"),
    runtime=_NAMES,
    protocolVersion=st.just("v1"),
    minReplicas=st.integers(1, 1000),
    maxReplicas=st.integers(1, 1000),
    resources=_words(limits=_QUANTITIES, requests=_QUANTITIES),
    serviceAccountName=_NAMES,
    nodeSelector=_LABELS,
    tolerations=st.lists(_TOLERATION, max_size=3),
    rollout=_words(
        strategy=st.sampled_from(["Replace", "Canary"]),
        steps=st.lists(st.integers(1, 99), min_size=1, max_size=10, unique=True).map(sorted),
        stepDuration=_DURATIONS,
        analysis=st.lists(_ANALYSIS, max_size=2, unique_by=lambda one: one["query"]),
    ),
    pinnedVersion=st.integers(1, 999_999_999),
    deletionPolicy=st.sampled_from(["Delete", "Orphan"]),
)

specifications = _words(
    {
        "data": _words({"uri": _URIS}, secretName=_NAMES),
        "storage": _words(
            {"uri": _URIS},
            secretName=_NAMES,
            deletionPolicy=st.sampled_from(["Retain", "Delete"]),
            keepVersions=st.integers(1, 10_000),
        ),
    },
    training=_TRAINING,
    evaluation=_words(
        data=_words({"uri": _URIS}, secretName=_NAMES),
        metrics=st.lists(_METRIC, max_size=3, unique_by=lambda metric: metric["name"]),
        onIncumbentError=st.sampled_from(["Reject", "Hold", "Ignore"]),
        approval=st.sampled_from(["Automatic", "Manual"]),
    ),
    serving=_SERVING,
    suspend=st.booleans(),
    historyLimit=st.integers(1, 50),
)
"""What a user may write as ``spec``; durations in the form in which they are written back."""
