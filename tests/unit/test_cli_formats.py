"""Values in words, as commands print them."""

from __future__ import annotations

from typing import Any

import pytest

from databuild.cli.display.formats import place_text
from databuild.model.records import JobRunRecord


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"executor": ""}, ""),
        ({"status": "RUNNING", "started_time": 90.0}, "waits at dask://e:1 for 10.0 s"),
        ({"placed_time": 95.0, "queued_seconds": 5.0, "machine": "m1"}, "on m1 of dask://e:1, waited 5.00 s"),
        ({"placed_time": 95.0, "queued_seconds": 5.0}, "on dask://e:1, waited 5.00 s"),
        ({"status": "FAILED"}, "on dask://e:1"),
    ],
)
def test_a_job_run_tells_where_it_is(facts: dict[str, Any], text: str) -> None:
    run = JobRunRecord("b.1.1", "b", 1, 1, "//:j", 1, "COMPLETED", executor="dask://e:1")

    assert place_text(run._replace(**facts), now=100.0) == text
