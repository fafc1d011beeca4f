"""Ids of builds."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databuild.errors import InvalidRequestError
from databuild.model.build_request_id import check_build_request_id, new_build_request_id


def test_an_id_begins_with_the_time_in_utc() -> None:
    assert new_build_request_id(1795427502.5).startswith("20261123T")
    assert len({new_build_request_id(0) for _ in range(100)}) > 95


@given(st.floats(0, 4e9), st.floats(0.002, 1e6))
@settings(deadline=None)
def test_a_later_build_has_a_greater_id(now: float, later: float) -> None:
    assert new_build_request_id(now) < new_build_request_id(now + later)


def test_an_id_may_be_chosen() -> None:
    for chosen in ("nightly-2013-01-01", "7", "a_b", new_build_request_id()):
        check_build_request_id(chosen)


@pytest.mark.parametrize("chosen", ["", "a b", "a.b", "..", "a/b", "../../a", "-a", "a\n", "é", "\udcff", "x" * 65])
def test_an_id_that_cannot_name_a_log_folder_is_refused(chosen: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a valid build id"):
        check_build_request_id(chosen)


@given(st.text(alphabet="aZ09-_. \n\u00e9\u0663", max_size=70))
@settings(deadline=None)
def test_an_id_is_up_to_64_letters_digits_dashes_and_underscores(chosen: str) -> None:
    valid = re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", chosen) is not None

    with contextlib.nullcontext() if valid else pytest.raises(InvalidRequestError):
        check_build_request_id(chosen)
