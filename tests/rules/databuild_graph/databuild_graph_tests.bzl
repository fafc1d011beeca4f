"""Tests of databuild_graph."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts", "unittest")
load("@bazel_skylib//rules:write_file.bzl", "write_file")
load("//rules:defs.bzl", "DataBuildGraphInfo", "DataBuildJobInfo", "databuild_graph", "databuild_graph_test", "databuild_job")
load("//rules/private:labels.bzl", "label_text")  # buildifier: disable=bzl-visibility
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

def _shares_the_runfiles_of_the_graph_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    as_data = [file.short_path for file in target[DefaultInfo].data_runfiles.files.to_list()]
    built = [file.short_path for file in target[OutputGroupInfo]._hidden_top_level_INTERNAL_.to_list()]
    here = "tests/rules/databuild_graph/"

    # Bazel creates no runfiles tree for a target without runfiles.
    asserts.equals(env, [], target[DefaultInfo].default_runfiles.files.to_list())
    for needed in ["tests/rules/program_data.txt", "tests/rules/fake_cli", here + "graph.catalog.json"]:
        asserts.true(env, needed in as_data, needed + " is missing for what has the target as data")
    for needed in ["graph.runfiles/MANIFEST", target.label.name + ".present"]:
        asserts.true(env, here + needed in built, needed + " is not built with the target")

    # Outputs of actions must exist on this machine, also with a remote cache.
    actions = [action for action in analysistest.target_actions(env) if action.mnemonic == "DataBuildRunfiles"]
    fetched = [file.short_path for file in actions[0].inputs.to_list()]
    for needed in ["tests/rules/program", "tests/rules/fake_cli", here + "daily.code_digest", here + "graph.catalog.json"]:
        asserts.true(env, needed in fetched, needed + " is not fetched")
    return analysistest.end(env)

_shares_the_runfiles_of_the_graph_test = analysistest.make(_shares_the_runfiles_of_the_graph_impl)

def _writes_labels_the_same_in_all_versions_of_bazel_impl(ctx):
    env = unittest.begin(ctx)
    for canonical, expected in {
        "": "",
        "acme_data+": "@acme_data",
        "acme_data~": "@acme_data",
        "acme_data~1.2.3": "@acme_data",
        "bazel_tools": "@bazel_tools",
        "rules++extension+repo": "@repo",
        "+extension+repo": "@repo",
        "_main~extension~repo": "@repo",
        "rules~1.2~extension~repo": "@repo",
        "rules~~extension~repo": "@repo",
    }.items():
        # Some versions of Bazel cannot create a Label of a repository that does not exist.
        label = struct(name = "hello", package = "jobs", repo_name = canonical)
        asserts.equals(env, expected + "//jobs:hello", label_text(label))
    asserts.equals(env, "//tests/rules:program", label_text(Label("//tests/rules:program")))
    return unittest.end(env)

_writes_labels_the_same_in_all_versions_of_bazel_test = unittest.make(_writes_labels_the_same_in_all_versions_of_bazel_impl)

def _namesake_impl(_ctx):
    return [DataBuildJobInfo(label = "@acme//jobs:hello")]

_namesake = rule(
    implementation = _namesake_impl,
    doc = "A job that has the stable label of others, as those of two versions of a module have.",
)

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
        check = True,
        exec_properties = {"Pool": "large"},
        executor = "local",
        infrastructure_retries = 5,
        resources = {"memory_gb": "4"},
        retention = "30d",
        retries = 2,
        retry_backoff = "5s",
        tags = ["nightly"],
        timeout = "10m",
        worker = True,
        worker_max_memory = "2GB",
        worker_max_requests = 1000,
    )
    _job(
        "report",
        ["report/month={month:month}"],
        args = ["--month={month:%m.%Y}"],
        batch_by = "{month.year}",
        batch_size = 6,
        bounds = {"month": "2013-01.."},
        env = {"YEAR": "{month.year}"},
        inputs = ["daily/date={month.dates}"],
        optional_inputs = ["report/month={month-1}"],
        query_inputs = ["votes/{*}"],
    )
    _job("optional", ["optional/{name}"], optional_inputs = ["daily/date=2013-01-01"])
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
        exec_properties = {"OSFamily": "linux"},
        executor = "reapi://localhost:8980/main",
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
        lookup = "//tests/rules:sh_program_with_env",
        resources = {"memory_gb": "4"},
    )
    databuild_graph(
        name = "default_cli_graph",
        jobs = [":report"],
        tags = ["manual"],
    )
    databuild_graph_test(
        name = "graph_check",
        size = "small",
        graph = ":graph",
        tags = ["manual"],
    )
    write_file(
        name = "kinds",
        out = "kinds.txt",
        content = [
            "{}: {}".format(target, native.existing_rule(target)["kind"])
            for target in ["daily", "graph", "graph.plan", "graph.service", "graph_check"]
        ] + [""],
    )
    _catalog_of("graph")
    _catalog_of("lookup_graph")

    _writes_labels_the_same_in_all_versions_of_bazel_test(
        name = "writes_labels_the_same_in_all_versions_of_bazel_test",
        size = "small",
    )
    _says_what_it_consists_of_test(
        name = "says_what_it_consists_of_test",
        size = "small",
        target_under_test = ":graph",
    )
    for command in ["plan", "service"]:
        _shares_the_runfiles_of_the_graph_test(
            name = command + "_shares_the_runfiles_of_the_graph_test",
            size = "small",
            target_under_test = ":graph." + command,
        )
    _runs_databuild_by_default_test(
        name = "runs_databuild_by_default_test",
        size = "small",
        target_under_test = ":default_cli_graph",
    )

    _must_fail("no_jobs_test", ["has no jobs"], jobs = [])
    _must_fail("a_job_twice_test", [_HERE + "daily twice"], jobs = [":daily", ":daily_alias"], resources = {"memory_gb": "4"})
    _namesake(name = "namesake")
    _namesake(name = "other_namesake")
    _must_fail(
        "two_jobs_of_one_label_test",
        ["@acme//jobs:hello", _HERE + "namesake", _HERE + "other_namesake", "only one of these repositories"],
        jobs = [
            ":namesake",
            ":other_namesake",
        ],
    )
    _must_fail(
        "overlapping_patterns_test",
        [_HERE + "daily with \"daily/date={date:date}\"", _HERE + "daily_again with \"daily/date={day:date}\""],
        jobs = [":daily_again", ":daily"],
        resources = {"memory_gb": "4"},
    )
    _must_fail("no_outputs_without_lookup_test", [_HERE + "without_outputs", "has no outputs", "`lookup`"], jobs = [":without_outputs"])
    _must_fail("a_resource_that_is_no_number_test", ["\"memory_gb\"", "\"much\""], jobs = [":daily"], resources = {"memory_gb": "much"})
    _must_fail("a_job_that_takes_too_much_test", [_HERE + "daily uses 4", "\"memory_gb\"", "has 3"], jobs = [":daily"], resources = {"memory_gb": "3"})
    _must_fail("a_resource_that_the_graph_lacks_test", [_HERE + "daily uses 4", "\"memory_gb\"", "has none"], jobs = [":daily"])

    _must_fail(
        "a_lookup_with_args_test",
        ["lookup of", "//tests/rules:program_with_args", "args = [\"--verbose\"]"],
        jobs = [":daily_again"],
        lookup = "//tests/rules:program_with_args",
    )
    _must_fail(
        "optional_inputs_with_a_lookup_test",
        [_HERE + "optional has optional_inputs", "has a lookup"],
        jobs = [":optional"],
        lookup = "//tests/rules:program.sh",
    )
    _must_fail("an_unknown_extension_test", ["executors", "\"slurm\"", "there is dask and reapi"], executors = ["slurm"], jobs = [":report"])
    _must_fail("an_unknown_scheme_test", ["executor", "\"slurm://a\"", "`local`", "dask://"], executor = "slurm://a", jobs = [":report"])
    _must_fail("an_executor_without_address_test", ["executor", "\"dask://\""], executor = "dask://", jobs = [":report"])
    _must_fail("an_unknown_storage_test", ["storage", "\"ftp\"", "there is abfs and gs and s3"], jobs = [":report"], storage = ["ftp"])
    _must_fail("an_unknown_log_store_test", ["log_store", "\"ftp://a\"", "an absolute path", "s3://"], jobs = [":report"], log_store = "ftp://a")
    _must_fail("an_unknown_notify_address_test", ["notify", "\"ftp://a\"", "http:// or https://"], jobs = [":report"], notify = ["ftp://a"])
    _must_fail("an_unknown_occasion_test", ["notify_on", "\"always\"", "end, failure, first_failure, check, wait"], jobs = [":report"], notify = ["https://a/b"], notify_on = ["always"])
    _must_fail("occasions_without_address_test", ["notify_on without notify"], jobs = [":report"], notify_on = ["end"])
    _must_fail("an_unknown_exporter_test", ["exporters", "\"zipkin:\"", "there is bes:grpc://HOST:PORT and openlineage: and otlp:"], jobs = [":report"], exporters = ["zipkin:"])
    _must_fail("an_exporter_without_its_address_test", ["exporters", "\"bes:\"", "bes:grpc://HOST:PORT"], jobs = [":report"], exporters = ["bes:"])
    _must_fail("results_without_their_service_test", ["bes_results_url without an exporter bes:"], bes_results_url = "https://a/", exporters = ["otlp:"], jobs = [":report"])
    _must_fail("results_at_another_scheme_test", ["bes_results_url", "\"ftp://a\"", "http:// or https://"], bes_results_url = "ftp://a", exporters = ["bes:grpc://a:1"], jobs = [":report"])
    _must_fail("a_log_store_without_bucket_test", ["log_store", "\"s3://\""], jobs = [":report"], log_store = "s3://")
    _must_fail("a_negative_limit_on_running_jobs_test", ["max_running_jobs", "-1"], jobs = [":report"], max_running_jobs = -1)
    _must_fail("a_negative_limit_on_partitions_test", ["max_partitions", "-1"], jobs = [":report"], max_partitions = -1)

    native.test_suite(name = name)
