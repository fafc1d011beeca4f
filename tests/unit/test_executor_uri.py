"""Addresses of executors, and which properties of a job are for which engine."""

from __future__ import annotations

import pytest

from databuild.errors import InvalidRequestError
from databuild.model.executor_uri import check_executor, extension_of, properties_for


@pytest.mark.parametrize("uri", ["local", "reapi://h:1/main", "reapis://h:1", "dask://h:1", "dask+tls://h:1"])
def test_an_address_of_an_executor_is_accepted(uri: str) -> None:
    check_executor(uri)


@pytest.mark.parametrize("uri", ["", "dask", "dask://", "slurm://h", "tcp://h:1", "Local"])
def test_another_text_is_refused_with_the_schemes(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"it must be `local` or begin with one of reapi://, reapis://"):
        check_executor(uri)


def test_one_extension_serves_both_schemes_of_an_engine() -> None:
    assert extension_of("reapis://h:1") == extension_of("reapi://h:1") == "reapi"
    assert extension_of("dask+tls://h:1") == "dask"


def test_each_engine_gets_the_properties_that_are_for_it() -> None:
    properties = {"OSFamily": "linux", "dask.resources.GPU": "1"}

    assert properties_for("reapi://h:1", properties) == {"OSFamily": "linux"}
    assert properties_for("dask://h:1", properties) == {"resources.GPU": "1"}
