"""Reading the job catalog, and finding the producer of a ref."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from databuild.errors import (
    AmbiguousPartitionError,
    InvalidCatalogError,
    InvalidRequestError,
    OverlappingPatternsError,
    UnknownPartitionError,
)
from databuild.graph.catalog import Job, JobCatalog, RetryPolicy, load_catalog
from databuild.graph.patterns import PartitionPattern

DAILY = {"label": "//a:daily", "executable": "a/daily", "outputs": ["daily/date={d:date}"]}


def catalog_of(**outputs: Sequence[str]) -> JobCatalog:
    labels = {f"//:{name}": patterns for name, patterns in outputs.items()}
    return JobCatalog(
        graph_label="//:g",
        jobs={label: Job(label=label, executable="", outputs=tuple(patterns)) for label, patterns in labels.items()},
    )


@pytest.fixture
def load(tmp_path: Path) -> Callable[[object], JobCatalog]:
    def write_and_load(document: object) -> JobCatalog:
        path = tmp_path / "catalog.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return load_catalog(str(path), str(tmp_path / "runfiles"))

    return write_and_load


@pytest.mark.parametrize("snake", [False, True])
def test_a_catalog_is_read_in_both_spellings_of_protobuf_json(
    load: Callable[[object], JobCatalog], tmp_path: Path, snake: bool
) -> None:
    (tmp_path / "runfiles").mkdir()
    (tmp_path / "runfiles" / "digest").write_text("abc\n")
    retry = {"retries": 2, "backoffSeconds": 1.5, "backoffMultiplier": 3, "maxBackoffSeconds": 9}
    job = {**DAILY, "codeDigestFile": "digest", "timeoutSeconds": 60, "retry": retry, "resources": {"db": 1}}
    job |= {"tags": ["nightly"], "environment": {"A": "1"}, "check": True}
    looking = {"lookup": "b/lookup", "lookupEnvironment": {"B": "2"}}
    text = json.dumps({"graphLabel": "//a:g", **looking, "defaultPartitions": ["daily/date=2013-01-01"], "jobs": [job]})
    if snake:
        names = ("graph_label", "lookup_environment", "default_partitions", "code_digest_file", "timeout_seconds")
        for name in (*names, "backoff_seconds"):
            first, *rest = name.split("_")
            text = text.replace(first + "".join(map(str.capitalize, rest)), name)

    catalog = load(text)

    assert catalog.graph_label == "//a:g"
    assert catalog.default_partitions == ("daily/date=2013-01-01",)
    assert catalog.lookup == str(tmp_path / "runfiles" / "b" / "lookup")
    assert catalog.lookup_environment == {"B": "2"}
    assert catalog.jobs["//a:daily"] == Job(
        label="//a:daily",
        executable=str(tmp_path / "runfiles" / "a" / "daily"),
        environment={"A": "1"},
        code_digest="abc",
        outputs=("daily/date={d:date}",),
        timeout_seconds=60.0,
        retry=RetryPolicy(retries=2, backoff_seconds=1.5, multiplier=3.0, max_backoff_seconds=9.0),
        resources={"db": 1},
        tags=("nightly",),
        check=True,
    )


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "it is not a job catalog"),
        ("[]", "it is not a job catalog"),
        ({"jobs": [{"label": "//a:a"}]}, "it is not a job catalog"),
        ({"jobs": [DAILY, DAILY]}, "two jobs have the same label"),
        ({"jobs": [{**DAILY, "codeDigestFile": "gone"}]}, "No such file"),
    ],
)
def test_an_invalid_catalog_says_what_to_do(load: Callable[[object], JobCatalog], document: object, said: str) -> None:
    with pytest.raises(InvalidCatalogError, match=said):
        load(document)


def test_a_catalog_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalogError, match="build the graph again with Bazel"):
        load_catalog(str(tmp_path / "none"), "")


def test_overlapping_patterns_are_refused_when_the_catalog_is_read(load: Callable[[object], JobCatalog]) -> None:
    other = {**DAILY, "label": "//a:other", "outputs": ["daily/{rest}"]}

    with pytest.raises(OverlappingPatternsError) as raised:
        load({"jobs": [DAILY, other]})

    assert "//a:daily" in str(raised.value)
    assert "//a:other" in str(raised.value)


@pytest.mark.parametrize("order", list(itertools.permutations(["a/{x}", "{y}/c", "b/{x}", "a{x}d"])))
def test_an_overlap_is_found_wherever_its_patterns_stand(order: Sequence[str]) -> None:
    catalog = catalog_of(**{f"job_{number}": [pattern] for number, pattern in enumerate(order)})

    with pytest.raises(OverlappingPatternsError) as raised:
        catalog.check()
    assert {raised.value.first[1], raised.value.second[1]} < {"a/{x}", "b/{x}", "{y}/c"}
    assert raised.value.example in {"a/c", "b/c"}


def test_usual_patterns_are_distinguished_without_the_automata() -> None:
    patterns = [
        *("daily/date={d:date}", "daily/index"),
        *("daily/month={m:month}", "{region}/monthly/{m:month}"),
        *("{region}/{d:date}/raw", "{region}/{d:date}/raw/{part:int}"),
        *("{region}/{d:date}/clean", "{region}_{d:date}", "{region}_{m:month}"),
    ]

    for first, second in itertools.combinations(map(PartitionPattern, patterns), 2):
        assert first.is_disjoint(second), (first.text, second.text)


def test_the_one_job_whose_pattern_matches_owns_a_ref() -> None:
    catalog = catalog_of(daily=["daily/{d:date}"], monthly=["monthly/{m:month}"])

    assert catalog.owner("daily/2013-01-31") == "//:daily"
    assert catalog.find_owner("monthly/2013-01") == "//:monthly"
    assert catalog.find_owner("daily/2013-01") is None


def test_a_ref_that_nobody_produces_is_told_the_nearest_pattern() -> None:
    with pytest.raises(UnknownPartitionError, match="no job produces") as raised:
        catalog_of(daily=["daily/{d:date}"]).owner("dayly/2013-01-31")

    assert "did you mean the pattern 'daily/{d:date}'" in str(raised.value)


def test_a_ref_that_several_produce_names_them() -> None:
    with pytest.raises(AmbiguousPartitionError, match="//:one, //:two"):
        catalog_of(one=["a/{x}"], two=["a/{y:int}"]).owner("a/1")


def test_a_date_that_does_not_exist_is_named_instead_of_a_pattern() -> None:
    catalog = catalog_of(other=["o/{x}"], daily=["daily/{d:date}"])

    with pytest.raises(UnknownPartitionError, match=r"'daily/2013-02-30'; the date 2013-02-30 does not exist$"):
        catalog.owner("daily/2013-02-30")


def test_ranges_that_together_ask_for_too_much_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="more than 1,000,000 partitions; split it into several"):
        JobCatalog(graph_label="//:g", jobs={"//:j": Job(label="//:j", executable="j", outputs=("n/{n:int}",))}).expand(
            ["n/1..600000", "n/700000..1200000"]
        )


def test_ranges_become_refs_and_each_ref_is_there_once() -> None:
    catalog = catalog_of(daily=["daily/{d:date}"])

    assert catalog.expand(["daily/2013-01-30..2013-02-01", "daily/2013-01-31"]) == (
        "daily/2013-01-30",
        "daily/2013-01-31",
        "daily/2013-02-01",
    )


@pytest.mark.parametrize("text", ["daily/2013-02-01..2013-01-01", "daily/2013-01-01..", "a b", ""])
def test_text_that_is_neither_ref_nor_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        catalog_of(daily=["daily/{d:date}"]).expand([text])


@pytest.fixture
def runfiles(tmp_path: Path) -> str:
    (tmp_path / "_repo_mapping").write_text(
        ",acme_data,acme_data~\n,data,acme_data~\n,ours,_main\n,pip,rules_python~~pip~pip_311\n"
        "acme_data~,databuild,databuild~\nacme_data~,root,_main\n"
    )
    return str(tmp_path)


JOBS = ("//jobs:hello", "@acme_data//jobs:hello", "@acme_data//jobs:own", "@pip_311//:wheel")


@pytest.mark.parametrize(
    ("graph_label", "label", "found"),
    [
        ("//:g", "//jobs:hello", "//jobs:hello"),
        ("//:g", "@//jobs:hello", "//jobs:hello"),
        ("//:g", "@@//jobs:hello", "//jobs:hello"),
        ("//:g", "@ours//jobs:hello", "//jobs:hello"),
        ("//:g", "@acme_data//jobs:hello", "@acme_data//jobs:hello"),
        ("//:g", "@@acme_data~//jobs:hello", "@acme_data//jobs:hello"),
        ("//:g", "@@acme_data+//jobs:hello", "@acme_data//jobs:hello"),
        ("//:g", "@data//jobs:hello", "@acme_data//jobs:hello"),
        ("//:g", "@pip//:wheel", "@pip_311//:wheel"),
        ("//:g", "//jobs:own", None),
        ("//:g", "@root//jobs:hello", None),
        ("//:g", "@other//jobs:hello", None),
        ("//:g", "jobs:hello", None),
        ("//:g", "hello", None),
        ("//:g", "", None),
        ("@acme_data//:g", "//jobs:own", "@acme_data//jobs:own"),
        ("@acme_data//:g", "//jobs:hello", "@acme_data//jobs:hello"),
        ("@acme_data//:g", "@//jobs:hello", "//jobs:hello"),
        ("@acme_data//:g", "@root//jobs:hello", "//jobs:hello"),
        ("@acme_data//:g", "@data//jobs:hello", None),
    ],
)
def test_a_job_is_found_by_each_name_that_a_label_may_have(
    runfiles: str, graph_label: str, label: str, found: str | None
) -> None:
    jobs = {job: Job(label=job, executable="") for job in JOBS}

    assert JobCatalog(graph_label=graph_label, jobs=jobs, runfiles=runfiles).find_job(label) == found


def test_without_the_names_of_repositories_a_job_is_found_by_its_own(tmp_path: Path) -> None:
    jobs = {job: Job(label=job, executable="") for job in JOBS}
    catalog = JobCatalog(graph_label="//:g", jobs=jobs, runfiles=str(tmp_path))

    assert catalog.find_job("@@acme_data~//jobs:hello") == "@acme_data//jobs:hello"
    assert catalog.find_job("@data//jobs:hello") is None


def test_with_a_lookup_any_ref_may_be_asked_for() -> None:
    catalog = JobCatalog(graph_label="//:g", jobs={}, lookup="/bin/lookup")

    assert catalog.expand(["anything"]) == ("anything",)
    with pytest.raises(InvalidRequestError):
        catalog.expand(["a b"])
