"""Tests of databuild_graph."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:defs.bzl", "DataBuildGraphInfo", "databuild_graph", "databuild_job")
load("//tests/rules:failures.bzl", "must_fail")

visibility(["//tests/rules/..."])

_HERE = "//tests/rules/databuild_graph:"

def _says_what_it_consists_of_impl(ctx):
    env = analysistest.begin(ctx)
    graph = analysistest.target_under_test(env)[DataBuildGraphInfo]
    runfiles = [file.short_path for file in graph.runfiles.files.to_list()]

    asserts.equals(env, _HERE + "graph", graph.label)
    asserts.equals(env, [_HERE + "daily", _HERE + "report"], graph.jobs)
    asserts.equals(env, "tests/rules/databuild_graph/graph.catalog.json", graph.catalog.short_path)
    asserts.equals(env, "tests/rules/fake_cli", graph.cli.short_path)
    for needed in ["program", "program_data.txt", "fake_cli", "databuild_graph/graph.catalog.json", "databuild_graph/daily.code_digest"]:
        asserts.true(env, "tests/rules/" + needed in runfiles, needed + " is missing among the runfiles")
    return analysistest.end(env)

_says_what_it_consists_of_test = analysistest.make(_says_what_it_consists_of_impl)

def _runs_databuild_by_default_impl(ctx):
    env = analysistest.begin(ctx)
    graph = analysistest.target_under_test(env)[DataBuildGraphInfo]

    asserts.equals(env, "databuild/cli/main", graph.cli.short_path)
    return analysistest.end(env)

_runs_databuild_by_default_test = analysistest.make(_runs_databuild_by_default_impl)

def _job(name, outputs, **kwargs):
    databuild_job(
        name = name,
        binary = "//tests/rules:program",
        outputs = outputs,
        **kwargs
    )

def _must_fail(name, messages, **kwargs):
    must_fail(
        name = name,
        cli = "//tests/rules:fake_cli",
        messages = messages + ["{}{}_subject".format(_HERE, name)],
        rule = databuild_graph,
        **kwargs
    )

def _catalog_of(name):
    native.filegroup(
        name = name + "_files",
        srcs = [":" + name],
        tags = ["manual"],
    )
    native.genrule(
        name = name + "_catalog",
        srcs = [":" + name + "_files"],
        outs = [name + "_written_catalog.json"],
        cmd = "for file in $(SRCS); do case $$file in *.catalog.json) cp $$file $@ ;; esac; done",
        tags = ["manual"],
    )

def databuild_graph_tests(name):
    """Declares the tests.

    Args:
        name: The name of the suite of them all.
    """
    _job(
        "daily",
        ["daily/date={date:date}"],
        resources = {"memory_gb": "4"},
        retries = 2,
        retry_backoff = "5s",
        tags = ["nightly"],
        timeout = "10m",
        worker = True,
    )
    _job("report", ["report/month={month:month}"])
    _job("daily_again", ["daily/date={day:date}"])
    _job("without_outputs", [])
    native.alias(
        name = "daily_alias",
        actual = ":daily",
    )

    databuild_graph(
        name = "graph",
        cli = "//tests/rules:fake_cli",
        default_partitions = ["report/month=2013-01"],
        jobs = [
            ":report",
            ":daily",
        ],
        max_partitions = 70000,
        max_running_jobs = 6,
        resources = {"memory_gb": "8"},
    )
    databuild_graph(
        name = "lookup_graph",
        cli = "//tests/rules:fake_cli",
        jobs = [
            ":daily",
            ":daily_again",
            ":without_outputs",
        ],
        lookup = "//tests/rules:program",
        resources = {"memory_gb": "4"},
    )
    databuild_graph(
        name = "default_cli_graph",
        jobs = [":report"],
        tags = ["manual"],
    )
    _catalog_of("graph")
    _catalog_of("lookup_graph")

    _says_what_it_consists_of_test(
        name = "says_what_it_consists_of_test",
        size = "small",
        target_under_test = ":graph",
    )
    _runs_databuild_by_default_test(
        name = "runs_databuild_by_default_test",
        size = "small",
        target_under_test = ":default_cli_graph",
    )

    _must_fail("no_jobs_test", ["has no jobs"], jobs = [])
    _must_fail("a_job_twice_test", [_HERE + "daily twice"], jobs = [":daily", ":daily_alias"], resources = {"memory_gb": "4"})
    _must_fail(
        "overlapping_patterns_test",
        [_HERE + "daily with \"daily/date={date:date}\"", _HERE + "daily_again with \"daily/date={day:date}\""],
        jobs = [":daily_again", ":daily"],
        resources = {"memory_gb": "4"},
    )
    _must_fail("no_outputs_without_lookup_test", [_HERE + "without_outputs", "no lookup"], jobs = [":without_outputs"])
    _must_fail("a_resource_that_is_no_number_test", ["\"memory_gb\"", "\"much\""], jobs = [":daily"], resources = {"memory_gb": "much"})
    _must_fail("a_job_that_takes_too_much_test", [_HERE + "daily takes 4", "\"memory_gb\"", "has 3"], jobs = [":daily"], resources = {"memory_gb": "3"})
    _must_fail("a_resource_that_the_graph_lacks_test", [_HERE + "daily takes 4", "\"memory_gb\"", "has none"], jobs = [":daily"])

    _must_fail("a_negative_limit_on_running_jobs_test", ["max_running_jobs", "-1"], jobs = [":report"], max_running_jobs = -1)
    _must_fail("a_negative_limit_on_partitions_test", ["max_partitions", "-1"], jobs = [":report"], max_partitions = -1)

    native.test_suite(name = name)
