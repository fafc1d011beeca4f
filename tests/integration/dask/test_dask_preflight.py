"""Checks of clusters that no test can start."""

from __future__ import annotations

from typing import Any

import pytest

from databuild.executors.dask.preflight import cluster_fault, version_fault

FACTS: dict[str, Any] = {"allowed_failures": 0, "workers": {"tcp://a:1": "2.0", "tcp://b:2": "2.0"}}


def test_a_cluster_with_our_version_fits() -> None:
    assert cluster_fault(FACTS, "2.0") == ""
    assert version_fault("scheduler", "2.0", "2.0") == ""


def test_a_worker_with_another_version_is_named_with_both() -> None:
    facts = {**FACTS, "workers": {"tcp://a:1": "2.0", "tcp://b:2": "1.0"}}

    assert cluster_fault(facts, "2.0") == (
        "its worker tcp://b:2 has version 1.0 of distributed, and this client 2.0; "
        "install the same version on all machines"
    )


def test_a_scheduler_with_another_version_is_named_with_both() -> None:
    assert version_fault("scheduler", "", "2.0").startswith(
        "its scheduler has version unknown of distributed, and this "
    )


@pytest.mark.parametrize("failures", [3, False])
def test_only_a_limit_of_zero_keeps_dask_from_repeating_jobs(failures: int | bool) -> None:
    fault = cluster_fault({**FACTS, "allowed_failures": failures}, "2.0")

    assert ("ALLOWED_FAILURES=0" in fault) == bool(failures)
