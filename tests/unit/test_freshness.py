"""Decisions about graphs in which each partition precedes its inputs are those of the search."""

from __future__ import annotations

import random

import pytest

from databuild.graph.config_comparison import configuration_digest
from databuild.graph.freshness import Decision, Freshness
from databuild.graph.partition_graph import PartitionGraph
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import run_through
from databuild.model.records import FailureRecord, InputVersion, Manifest, PartitionRecord, RemovalRecord
from databuild.model.statuses import PartitionStatus
from databuild.v1 import partition_pb2 as pt

JOB = "//:job"


class Built:
    """A built graph in which each partition precedes its inputs, and some changes since.

    Attributes:
        graph: The partitions; the first one is the only one that nobody needs.
    """

    def __init__(self, seed: int, *, changed_configs: bool) -> None:
        chance = random.Random(seed)
        self.graph = PartitionGraph()
        count = 40
        self.graph.add([f"p/{number}" for number in range(count)])
        self.configs: dict[str, JobConfig] = {}
        self.records: dict[str, PartitionRecord] = {}
        for number, ref in enumerate(self.graph.refs):
            others = range(number + 1, count)
            needed = sorted({*others[:1], *chance.sample(others, min(2, len(others)))})
            self.graph.upstream.append(needed)
            inputs = tuple(self.graph.refs[other] for other in needed)
            config = self.configs[ref] = JobConfig((ref,), inputs)
            digest = configuration_digest(config)
            if changed_configs and chance.random() < 0.1:
                digest = "before"
            used = tuple(InputVersion(other, "old" if chance.random() < 0.02 else f"v.{other}") for other in inputs)
            code = "before" if chance.random() < 0.05 else "code"
            manifest = Manifest(JOB, code, digest, used)
            available = chance.random() < 0.95
            tainted = chance.random() < 0.05
            self.records[ref] = PartitionRecord(
                ref, "AVAILABLE", "b", 0, available, f"v.{ref}", "run", "b", manifest, tainted=tainted
            )
        if chance.random() < 0.5:
            del self.records[chance.choice(self.graph.refs)]

    def freshness(self) -> Freshness:
        return Freshness(
            self.graph,
            self.configs,
            {id(config): configuration_digest(config) for config in self.configs.values()},
            self.records,
            dict.fromkeys(self.graph.refs, JOB),
            {JOB: "code"},
            forced=frozenset(),
            options=PlanOptions(),
        )


@pytest.mark.parametrize("changed_configs", [False, True])
def test_decisions_do_not_depend_on_how_partitions_are_visited(changed_configs: bool) -> None:
    reasons: set[int] = set()
    for seed in range(100):
        built = Built(seed, changed_configs=changed_configs)
        deciding, searching = built.freshness(), built.freshness()

        decisions = run_through(deciding.decide(["p/0"]))

        assert decisions == run_through(searching.search(["p/0"]))
        assert deciding.changed_configurations == searching.changed_configurations
        reasons.update(decision.reason for decision in decisions)
    expected = {pt.REASON_UP_TO_DATE, pt.REASON_MISSING, pt.REASON_TAINTED, pt.REASON_CODE_CHANGED}
    assert reasons >= expected | {pt.REASON_INPUT_CHANGED}
    assert (pt.REASON_CONFIGURATION_CHANGED in reasons) == changed_configs


def test_an_input_that_precedes_its_partition_is_decided_first() -> None:
    graph = PartitionGraph()
    graph.add(["top", "low", "middle"])
    graph.upstream += [[1, 2], [], [1]]
    configs = {
        "top": JobConfig(("top",), ("low", "middle")),
        "low": JobConfig(("low",)),
        "middle": JobConfig(("middle",), ("low",)),
    }
    records = {}
    for ref, config in configs.items():
        used = tuple(InputVersion(needed, f"v.{needed}") for needed in config.materialize)
        manifest = Manifest(JOB, "code", configuration_digest(config), used)
        records[ref] = PartitionRecord(ref, "AVAILABLE", "b", 0, ref != "low", f"v.{ref}", "run", "b", manifest)
    freshness = Freshness(
        graph,
        configs,
        {id(config): configuration_digest(config) for config in configs.values()},
        records,
        dict.fromkeys(configs, JOB),
        {JOB: "code"},
        forced=frozenset(),
        options=PlanOptions(),
    )

    decisions = run_through(freshness.decide(["top"]))

    changed = Decision(pt.REASON_INPUT_CHANGED, "low")
    assert decisions == [changed, Decision(pt.REASON_MISSING, ""), changed]


@pytest.mark.parametrize("status", ["SCHEDULED", "BUILDING"])
def test_a_partition_that_a_build_of_the_base_makes_has_not_failed_in_an_environment(status: PartitionStatus) -> None:
    graph = PartitionGraph()
    graph.add(["p"])
    graph.upstream.append([])
    record = PartitionRecord("p", status, "b", 0, False)  # an environment reads it without the claim of that build
    freshness = Freshness(
        graph,
        {"p": JobConfig(("p",))},
        {},
        {"p": record},
        {"p": JOB},
        {JOB: "code"},
        forced=frozenset(),
        options=PlanOptions(),
    )

    assert run_through(freshness.decide(["p"])) == [Decision(pt.REASON_MISSING, "")]


@pytest.mark.parametrize(
    ("status", "failure"), [("FORGOTTEN", None), ("FAILED", FailureRecord("USER", "no")), ("BUILDING", None)]
)
def test_a_forgotten_partition_is_built_for_the_reason_that_was_given(
    status: PartitionStatus, failure: FailureRecord | None
) -> None:
    graph = PartitionGraph()
    graph.add(["p"])
    graph.upstream.append([])
    removal = RemovalRecord("m", "ann", "by hand", 1.0, "FORGOTTEN")
    record = PartitionRecord("p", status, "b", 0, False, "v", "run", "b", failure=failure, removal=removal)
    freshness = Freshness(
        graph,
        {"p": JobConfig(("p",))},
        {},
        {"p": record},
        {"p": JOB},
        {JOB: "code"},
        forced=frozenset(),
        options=PlanOptions(),
    )

    assert run_through(freshness.decide(["p"])) == [Decision(pt.REASON_FORGOTTEN, "by hand")]
