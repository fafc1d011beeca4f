"""Ids of builds."""

from hypothesis import given
from hypothesis import strategies as st

from databuild.orchestration.ids import new_build_request_id


def test_an_id_begins_with_the_time_in_utc():
    assert new_build_request_id(1795427502.5).startswith("20261123T")
    assert len({new_build_request_id(0) for _ in range(100)}) > 95


@given(st.floats(0, 4e9), st.floats(0.002, 1e6))
def test_a_later_build_has_a_greater_id(now, later):
    assert new_build_request_id(now) < new_build_request_id(now + later)
