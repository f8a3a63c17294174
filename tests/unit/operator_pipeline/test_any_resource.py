"""Whatever the API server accepts can be compiled."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kfp import components

from tests.unit.operator_pipeline.builders import INPUTS, resource
from trainandserve.pipeline import compile_pipeline

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
OBJECTS = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?", fullmatch=True)
DURATIONS = st.builds("{}{}".format, st.integers(1, 999_999), st.sampled_from("hms"))
CPU = st.integers(0, 999_999) | st.from_regex(r"[0-9]{1,6}([.][0-9]{1,3})?|[0-9]{1,9}m", fullmatch=True)
BYTES = st.integers(0, 2**53) | st.from_regex(
    r"[0-9]{1,15}(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|k|Ki)?", fullmatch=True
)
KEYS = st.from_regex(r"([a-z0-9.-]{1,20}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?", fullmatch=True)
VALUES = st.from_regex(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,20})?[A-Za-z0-9])?", fullmatch=True)
LABELS = st.dictionaries(KEYS, VALUES, max_size=4)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ACCELERATORS = st.dictionaries(st.sampled_from(["nvidia.com/gpu", "amd.com/gpu"]), BYTES, max_size=1)


def some(**fields):
    return st.fixed_dictionaries({}, optional=fields)


TOLERATIONS = st.lists(
    some(
        key=KEYS,
        operator=st.sampled_from(["Exists", "Equal"]),
        value=VALUES,
        effect=st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
        tolerationSeconds=st.integers(0, 31_536_000),
    ),
    max_size=3,
)
TRAINING = some(
    entrypoint=st.from_regex(
        r"[A-Za-z_][A-Za-z0-9_]{0,9}([.][A-Za-z_][A-Za-z0-9_]{0,9}){0,3}", fullmatch=True
    ),
    parameters=st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True), JSON, max_size=4
    ),
    packages=st.lists(st.sampled_from(["a==1", "b[c, d] >= 1, < 2", "e~=1.0"]), max_size=3),
    resources=some(
        limits=st.builds(lambda a, b: {**a, **b}, some(cpu=CPU, memory=BYTES), ACCELERATORS),
        requests=some(cpu=CPU, memory=BYTES),
    ),
    nodeSelector=LABELS,
    tolerations=TOLERATIONS,
    serviceAccountName=OBJECTS,
    imagePullSecrets=st.lists(OBJECTS, max_size=3),
    podLabels=LABELS,
    podAnnotations=st.dictionaries(KEYS, TEXT, max_size=3),
    retries=st.fixed_dictionaries({"limit": st.integers(0, 10)}, optional={"backoff": DURATIONS}),
    timeout=DURATIONS,
    caching=st.booleans(),
)
PATHS = st.text(string.ascii_letters + string.digits + "-_.!*'()+=,:;~é", max_size=20)
EVALUATION = st.none() | st.builds(lambda path: {"data": {"uri": f"s3://held-out/{path}"}}, PATHS)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(name=NAMES, training=TRAINING, evaluation=EVALUATION)
def test_any_valid_resource_compiles_and_loads(name, training, evaluation):
    pipeline = compile_pipeline(resource(name=name, evaluation=evaluation, **training), INPUTS)
    json.dumps(pipeline.body(), allow_nan=False).encode()
    loaded = components.load_component_from_text(pipeline.yaml)
    assert loaded.component_spec.name == name
