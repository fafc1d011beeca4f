"""Configurations of past job runs, from the events of their builds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from databuild.model.records import BuildRecord
from databuild.orchestration.jobs.past_configs import LoggedConfigs
from databuild.v1.events_pb2 import BuildEvent


class NoBuilds:
    """An event log without builds; remembers the ids that were looked up."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def build(self, build_request_id: str) -> BuildRecord | None:
        self.asked.append(build_request_id)
        return None

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        raise AssertionError(build_request_id)


def test_adopted_data_has_no_past_configuration() -> None:
    builds = NoBuilds()

    assert LoggedConfigs(builds)("") is None
    assert builds.asked == []


def test_a_build_that_is_not_in_the_log_has_no_past_configurations() -> None:
    builds = NoBuilds()

    assert LoggedConfigs(builds)("20261123T095142Z-7k3f9q.12.1") is None
    assert builds.asked == ["20261123T095142Z-7k3f9q"]


def test_an_invalid_id_raises() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        LoggedConfigs(NoBuilds())("12")
