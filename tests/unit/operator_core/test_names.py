"""Names that follow from the resource alone, so that whoever computes them finds the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import UID, a_resource
from tests.unit.operator_resource.specifications import thorough
from trainandserve import names


def test_a_run_id_is_the_same_whoever_computes_it() -> None:
    assert names.run_id(UID, 3, 1) == names.run_id(UID, 3, 1)
    assert names.run_id(UID, 3, 1).startswith("ec904f02-1ca1-5f8")


@thorough
@given(st.uuids(), st.integers(1, 10**9), st.integers(1, 1000), st.integers(1, 10**9), st.integers(1, 1000))
def test_no_two_attempts_share_an_id(
    uid: object, version: int, attempt: int, other: int, another: int
) -> None:
    one, two = names.run_id(str(uid), version, attempt), names.run_id(str(uid), other, another)
    assert (one == two) == ((version, attempt) == (other, another))
    assert len(one) == 36


def test_a_version_lives_below_the_resource_in_a_folder_of_its_attempt() -> None:
    resource = a_resource(storage={"uri": "s3://models/team"})
    prefix = names.attempt_prefix(resource, 3, "1f6a6c3e-0000")
    assert prefix == "s3://models/team/vision/mnist/3-1f6a6c3e/"
    assert names.model_uri(prefix) == "s3://models/team/vision/mnist/3-1f6a6c3e/model/"
    assert (
        names.attempt_prefix(a_resource(storage={"uri": "s3://models/team/"}), 3, "1f6a6c3e-0000") == prefix
    )
