"""Planning does the same for many refs at once as for each of them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from databuild.errors import AmbiguousPartitionError, InvalidRequestError, JobConfigurationError
from databuild.graph.analysis import analyze
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.config_comparison import configuration_digest, configuration_digests
from databuild.graph.declared.declaration import Declaration, DeclaredJob
from databuild.graph.declared.templates import parse_template
from databuild.graph.memo import Memo
from databuild.graph.ownership import Ownership
from databuild.graph.partition_graph import PartitionGraph
from databuild.graph.patterns import PartitionPattern
from databuild.graph.refs import MAX_REF_BYTES, are_plain, check_ref, unsafe_segment
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE, Pace
from databuild.v1 import partition_pb2 as pt
from tests.support.counting import run_counted
from tests.support.planning import Configure, Records

DAYS = [f"2013-02-{day:02}" for day in range(20, 32)]


@pytest.mark.parametrize(
    ("pattern", "bounds", "refs"),
    [
        ("day/{d:date}", {}, [f"day/{day}" for day in DAYS]),
        ("day/{d:date}", {"d": "2013-02-22..2013-02-25"}, [f"day/{day}" for day in DAYS]),
        ("n/{a:int}/{b:int}", {"b": "0..3"}, [f"n/{a}/{b}" for a in ("-1", "00", "7", "x") for b in range(-1, 6)]),
        ("code/{c:/(a|b)+(x)?/}/{n:int}", {}, ["code/abx/1", "code/ab/2", "code/c/3", "code/b/4"]),
        ("any/{a:/[^q]+/}", {}, ["any/1", "any/2", "any/q", "any/3"]),
        ("all", {}, ["all", "al", "all"]),
        ("{a}{d:date}", {}, ["x2013-02-28", "2013-02-282013-02-28", "x2013-02-30", "0000-00-002013-02-28"]),
    ],
)
def test_a_pattern_matches_many_refs_as_it_matches_each(
    pattern: str, bounds: dict[str, str], refs: Sequence[str]
) -> None:
    parsed = PartitionPattern(pattern, bounds)
    each = [(ref, *fields.values()) for ref in refs if (fields := parsed.match(ref)) is not None]

    rows = parsed.match_many(refs)

    assert set(rows) <= set(each)
    assert rows == each or "[^q]" in pattern  # a field that may have line breaks may take several lines


@pytest.mark.parametrize(
    ("refs", "plain"),
    [
        (["a/b=1", "c", "a/-1", "a..b"], True),
        (["a", ""], False),
        (["a", "/b"], False),
        (["a/", "b"], False),
        (["a//b"], False),
        (["a/.", "b"], False),
        (["a/../b"], False),
        ([".", "b"], False),
        (["a", "-b"], False),
        (["a b"], False),
        (["a", " b"], False),
        (["a\nb"], False),
        (["é"], False),
        (["a" * MAX_REF_BYTES], True),
        (["a" * (MAX_REF_BYTES + 1)], False),
    ],
)
def test_refs_without_peculiarities_are_plain(refs: Sequence[str], plain: bool) -> None:
    assert are_plain(refs) == plain


def test_plain_refs_are_valid_and_have_no_unsafe_segment() -> None:
    texts = ["".join(text) for length in range(4) for text in itertools.product("a/.- é\n", repeat=length)]

    for text in filter(lambda text: are_plain([text]), texts):
        check_ref(text)
        assert unsafe_segment(text) is None
    for text in texts:
        if not are_plain([text]):
            assert not are_plain(["a", text])
            assert not are_plain([text, "b"])


@pytest.mark.parametrize(
    "text",
    [
        "all",
        "{n}",
        "a/{n}/{m}/b",
        "a/{n-1..n+1}",
        "{n-1..n+1}/{m}",
        "a/{month.dates}/{n..n+1}/b",
        "{m}{date.month.dates}{n}",
        "{{{n}}}",
    ],
)
def test_a_template_yields_for_many_refs_what_it_yields_for_each(text: str) -> None:
    template = parse_template(text, {"n": "int", "m": "str", "date": "date", "month": "month"})
    rows = [
        {"n": str(n), "m": m, "date": date, "month": date[:7]}
        for n, m, date in itertools.product((0, 1, -5), ("x", "y"), ("2013-02-28", "2013-03-01"))
    ]

    many = template.values_of({name: [row[name] for row in rows] for name in rows[0]}, len(rows))

    assert [list(values) for values in many] == [template.values(row) for row in rows]


def declared(*outputs: str, **declaration: Any) -> DeclaredJob:
    bounds = declaration.get("bounds", {})
    return DeclaredJob("//:job", [PartitionPattern(text, bounds) for text in outputs], Declaration(**declaration))


@pytest.mark.parametrize(
    "job",
    [
        declared("day/{date:date}"),
        declared(
            "day/{date:date}",
            "log/{date:date}",
            inputs=("raw/{date.month}", "raw/{date-1}"),
            optional_inputs=("day/{date-1..date}", "raw/{date}"),
            query_inputs=("votes/{date}", "votes/{date}", "votes/{date.month}/{*}"),
            args=("{date}", "fixed"),
            env=(("A", "1"), ("B", "{date.month}")),
        ),
        declared("day/{date:date}", inputs=("{date.month.dates}{date-1..date}",)),
    ],
)
def test_a_job_has_the_same_configuration_for_a_ref_alone_and_among_others(job: DeclaredJob) -> None:
    refs = [f"{output.prefix}{day}" for output in job.outputs for day in DAYS[:9]]

    def produces(ref: str) -> bool:
        return ref.startswith("raw/") or ref.endswith("7")

    many = job.configs(refs, lambda asked: {ref for ref in asked if not produces(ref)})

    assert many == [job.config(ref, produces) for ref in refs]


def test_an_invalid_value_among_many_is_an_error() -> None:
    job = declared("day/{date:date}", inputs=("day/{date-1}",))

    with pytest.raises(JobConfigurationError, match="before the year 1"):
        job.configs([f"day/0001-01-{day:02}" for day in range(9, 0, -1)], lambda _: set())


def test_digests_of_many_configurations_are_those_of_json() -> None:
    configs = [
        JobConfig(("o",), materialize, query, args, env)
        for materialize in ((), ("b", "a"), ('q"', "\\", "é", "\x7f"))
        for query in ((), ("z", "y"))
        for args, env in (((), ()), (("-x", "1"), (("N", "v"), ("A", "ü"))), (("-x", "1"), ()))
    ]
    expected = []
    for config in configs:
        document = [config.args, sorted(config.env), sorted(config.materialize), sorted(config.query)]
        text = json.dumps(document, separators=(",", ":"))
        expected.append(hashlib.sha256(text.encode()).hexdigest()[:32])

    assert configuration_digests(configs) == expected
    assert [configuration_digest(config) for config in configs] == expected
    with_prefix = configs[0]._replace(query_prefixes=("p",))
    assert configuration_digests([with_prefix, configs[0]])[1] == expected[0]
    assert configuration_digest(with_prefix) == hashlib.sha256(b'[[],[],[],[],["p"]]').hexdigest()[:32]


def owned(*patterns: str) -> Ownership:
    jobs = {
        f"//:{number}": Job(label=f"//:{number}", executable="x", outputs=(text,))
        for number, text in enumerate(patterns)
    }
    return Ownership(JobCatalog(graph_label="//:g", jobs=jobs), lookup=None)


async def test_the_jobs_of_many_refs_are_those_of_each() -> None:
    ownership = owned("a/{n:int}", "b/x/{n:int}", "b/y/{n:int}", "c/{d:date}")
    refs = [f"{prefix}/{n}" for prefix in ("a", "b/x", "b/y", "b/z", "d") for n in range(9)]
    refs += ["a/x", "b/x/", "a/.", *(f"c/{day}" for day in DAYS)]

    missing = ownership.unproduced(refs)

    assert ownership.labels["a/3"] == "//:0"
    assert ownership.labels["b/y/3"] == "//:2"
    assert missing == {ref for ref in refs if not owned_alone(ref)}
    assert ownership.unproduced(refs) == missing


def owned_alone(ref: str) -> bool:
    return owned("a/{n:int}", "b/x/{n:int}", "b/y/{n:int}", "c/{d:date}").is_produced(ref)


async def test_a_ref_of_two_jobs_among_many_is_ambiguous() -> None:
    ownership = owned("a/{n:int}", "a/{s:/[0-9]x?/}")

    with pytest.raises(AmbiguousPartitionError, match="'a/3'"):
        await ownership.find(["a/10", "a/11", "a/12", "a/13", "a/3", "a/14"])


async def test_an_invalid_ref_among_many_is_named() -> None:
    with pytest.raises(InvalidRequestError, match="'a/ 3'"):
        await owned("a/{s:/.+/}").find(["a/10", "a/11", "a/12", "a/13", "a/ 3", "a/14"])


def test_a_graph_numbers_partitions_in_the_order_in_which_they_are_met() -> None:
    graph = PartitionGraph()
    graph.add(["c", "a"])
    graph.add_inputs([("b", "a", "d"), (), ("a",)])

    assert graph.refs == ["c", "a", "b", "d"]
    assert [list(needed) for needed in graph.upstream] == [[2, 1, 3], [], [1]]
    assert graph.needed_by("d") == "c"
    assert graph.needed_by("c") is None


def test_a_memo_computes_each_result_once_and_keeps_a_limited_number() -> None:
    computed: list[str] = []

    def length(text: str) -> int:
        computed.append(text)
        return len(text)

    memo = Memo(length, keeps=lambda result: result < 3)

    assert [memo[text] for text in ("a", "bb", "a", "ccc", "ccc")] == [1, 2, 1, 3, 3]
    assert computed == ["a", "bb", "ccc", "ccc"]
    many = Memo(str.upper)
    assert [many[str(number)] for number in range(20_000)] == [str(number) for number in range(20_000)]
    assert len(many) < 10_000


def fan_in(count: int) -> JobCatalog:
    fan = Declaration(inputs=(f"leaf/{{n..n+{count - 1}}}",))
    jobs = {
        "//:leaf": Job(label="//:leaf", executable="x", outputs=("leaf/{n:int}",), declaration=Declaration()),
        "//:fan": Job(label="//:fan", executable="x", outputs=("fan/{n:int}",), declaration=fan),
    }
    return JobCatalog(graph_label="//:g", jobs=jobs)


@pytest.mark.parametrize("requested", [["fan/0"], [f"fan/{n}" for n in range(40)]])
def test_planning_of_declared_jobs_keeps_the_event_loop_no_longer_for_more_inputs(requested: Sequence[str]) -> None:
    stretches, works = [], []
    for count in (1_000, 4_000):
        planning = analyze(requested, fan_in(count), Configure(), Records(), pace=Pace(budget_seconds=0))
        plan, lines = run_counted(planning)
        stretches.append(lines.longest)
        works.append(lines.total)

        assert len(plan.tasks) == count + 2 * len(requested) - 1
    assert works[1] < 5 * works[0]
    assert stretches[1] < 60 * SLICE


async def test_a_plan_without_digests_is_the_same_apart_from_them() -> None:
    refs = [f"fan/{n}" for n in range(3)]

    whole = await analyze(refs, fan_in(20), Configure(), Records())
    shown = await analyze(refs, fan_in(20), Configure(), Records(), digests=False)

    assert [task.configuration_digest for task in whole.tasks] == [configuration_digest(t.config) for t in whole.tasks]
    assert shown == whole._replace(tasks=tuple(task._replace(configuration_digest="") for task in whole.tasks))


async def test_records_are_compared_with_digests_in_a_plan_without_digests() -> None:
    built = Records().build(await analyze(["fan/0"], fan_in(3), Configure(), Records()))

    again = await analyze(["fan/0"], fan_in(4), Configure(), built, digests=False)

    reasons_by_ref = {partition.ref: partition.reason for partition in again.partitions}
    assert reasons_by_ref["fan/0"] == pt.REASON_CONFIGURATION_CHANGED
    assert reasons_by_ref["leaf/0"] == pt.REASON_UP_TO_DATE
