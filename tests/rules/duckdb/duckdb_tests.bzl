"""Tests of databuild_duckdb_job and databuild_duckdb_test."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:defs.bzl", "DataBuildJobInfo", "databuild_job")
load("//rules:duckdb.bzl", "databuild_duckdb_job", "databuild_duckdb_test")
load("//tests/rules:failures.bzl", "must_fail")

visibility(["//tests/rules/..."])

def _is_a_declared_job_impl(ctx):
    env = analysistest.begin(ctx)
    job = analysistest.target_under_test(env)[DataBuildJobInfo]

    asserts.equals(env, ["report/month={month:month}"], job.outputs)
    asserts.equals(env, ["daily/date={month.dates}"], job.declaration.inputs)
    asserts.equals(env, ["report/month={month-1}"], job.declaration.optional_inputs)
    asserts.equals(env, ["votes/{*}"], job.declaration.query_inputs)
    asserts.equals(env, [], job.declaration.args)
    asserts.equals(env, "_main/tests/rules/duckdb/full.program.query.json", job.environment["DATABUILD_SQL_QUERY"])
    asserts.equals(env, {"memory_gb": 2}, job.resources)
    asserts.equals(env, ["nightly"], job.tags)
    return analysistest.end(env)

_is_a_declared_job_test = analysistest.make(_is_a_declared_job_impl)

def _has_no_config_without_inputs_impl(ctx):
    env = analysistest.begin(ctx)

    asserts.true(env, analysistest.target_under_test(env)[DataBuildJobInfo].declaration != None)
    return analysistest.end(env)

_has_no_config_without_inputs_test = analysistest.make(_has_no_config_without_inputs_impl)

def _hashes_query_and_files_impl(ctx):
    env = analysistest.begin(ctx)
    digest = [a for a in analysistest.target_actions(env) if a.mnemonic == "DataBuildCodeDigest"][0]
    inputs = [file.short_path for file in digest.inputs.to_list()]

    for path in ["full.program", "full.program.query.json", "expected.csv"]:
        asserts.true(env, "tests/rules/duckdb/" + path in inputs, path)
    return analysistest.end(env)

_hashes_query_and_files_test = analysistest.make(_hashes_query_and_files_impl)

def _describes_the_query_impl(ctx):
    env = analysistest.begin(ctx)
    action = [a for a in analysistest.target_actions(env) if a.mnemonic == "DataBuildCheckQuery"][0]
    description = json.decode([argument for argument in action.argv if argument.startswith("{")][0])

    asserts.equals(env, {"daily": "daily", "last": "report", "votes": "votes"}, description["datasets"])
    asserts.equals(env, {name: ["_main/tests/rules/duckdb/expected.csv"] for name in ["airlines", "carriers"]}, description["sources"])
    asserts.equals(env, {"daily": [["z", "BIGINT"], ["a", "DATE"]]}, description["columns"])
    asserts.equals(env, {"error": {"a": "SELECT true"}, "warning": {"b": "SELECT true"}}, description["checks"])
    asserts.equals(env, "data", description["default_data_root"])
    asserts.equals(env, ["month"], description["fields"])
    asserts.equals(env, "_main/tests/rules/duckdb/report.sql", description["select"])
    return analysistest.end(env)

_describes_the_query_test = analysistest.make(_describes_the_query_impl)

def _has_the_data_root_of_the_flag_impl(ctx):
    env = analysistest.begin(ctx)
    action = [a for a in analysistest.target_actions(env) if a.mnemonic == "DataBuildCheckQuery"][0]
    description = json.decode([argument for argument in action.argv if argument.startswith("{")][0])

    asserts.equals(env, "/mnt/data", description["default_data_root"])
    return analysistest.end(env)

_has_the_data_root_of_the_flag_test = analysistest.make(
    _has_the_data_root_of_the_flag_impl,
    config_settings = {str(Label("//rules:duckdb_data_root")): "/mnt/data"},
)

def _must_fail(name, messages, outputs = ["report/month={month:month}"], **kwargs):
    must_fail(
        name = name,
        messages = messages + ["//tests/rules/duckdb:{}_subject".format(name)],
        rule = databuild_duckdb_job,
        outputs = outputs,
        sql = "report.sql",
        **kwargs
    )

def _test_must_fail(name, messages, **kwargs):
    must_fail(
        name = name,
        expected = "expected.csv",
        messages = messages,
        output = "report/month=2013-01",
        rule = databuild_duckdb_test,
        **kwargs
    )

def duckdb_tests(name):
    """Declares the tests.

    Args:
        name: The name of the suite of them all.
    """
    databuild_duckdb_job(
        name = "full",
        srcs = {
            "airlines": "expected.csv",
            "carriers": "expected.csv",
        },
        checks = {"a": "SELECT true"},
        columns = {"daily": {
            "z": "BIGINT",
            "a": "DATE",
        }},
        inputs = ["daily/date={month.dates}"],
        optional_inputs = ["report/month={month-1}"],
        outputs = ["report/month={month:month}"],
        query_inputs = ["votes/{*}"],
        resources = {"memory_gb": "2"},
        sql = "report.sql",
        tags = ["nightly"],
        views = {"last": "report"},
        warning_checks = {"b": "SELECT true"},
    )
    databuild_duckdb_job(
        name = "minimal",
        outputs = ["constant/{name}"],
        sql = "report.sql",
    )
    _is_a_declared_job_test(
        name = "is_a_declared_job_test",
        size = "small",
        target_under_test = ":full",
    )
    _has_no_config_without_inputs_test(
        name = "has_no_config_without_inputs_test",
        size = "small",
        target_under_test = ":minimal",
    )
    _hashes_query_and_files_test(
        name = "hashes_query_and_files_test",
        size = "small",
        target_under_test = ":full",
    )
    _describes_the_query_test(
        name = "describes_the_query_test",
        size = "small",
        target_under_test = ":full.program",
    )
    _has_the_data_root_of_the_flag_test(
        name = "has_the_data_root_of_the_flag_test",
        size = "small",
        target_under_test = ":full.program",
    )

    for attribute, value, message in [
        ("args", ["{month}"], "getvariable"),
        ("batch_by", "{month.year}", "produces one partition"),
        ("batch_size", 5, "produces one partition"),
        ("env", {"A": "b"}, "getvariable"),
    ]:
        _must_fail(attribute + "_test", ["has the attribute " + attribute, message], **{attribute: value})
    _must_fail("two_outputs_test", ["has 2 outputs, but a SQL job has one"], outputs = ["a/{x}", "b/{x}"])
    _must_fail("no_output_test", ["has 0 outputs, but a SQL job has one"], outputs = [])
    _must_fail("an_output_with_a_scheme_test", ["\"s3://bucket/{x}\" has the segment \"s3:\"", "write a relative path"], outputs = ["s3://bucket/{x}"])
    _must_fail("an_absolute_output_test", ["\"/data/{x}\" has the segment \"\""], outputs = ["/data/{x}"])
    _must_fail("an_output_out_of_the_data_root_test", ["has the segment \"..\""], outputs = ["../{x}"])
    _must_fail("an_invalid_output_test", ["unknown type \"moon\""], outputs = ["a/{x:moon}"])
    _must_fail("no_threads_test", ["threads of", "is 0, but must be positive"], threads = 0)
    _must_fail(
        "a_check_of_two_severities_test",
        ["the check \"a\" both in checks and in warning_checks"],
        checks = {"a": "SELECT true"},
        warning_checks = {"a": "SELECT true"},
    )
    _must_fail(
        "an_input_without_a_name_of_a_view_test",
        ["the input \"s3://bucket/{month}\"", "\"s3:\" cannot be the name of one", "views = {\"NAME\": \"FIRST/SEGMENTS\"}"],
        inputs = ["s3://bucket/{month}"],
    )
    _must_fail(
        "a_first_segment_with_a_field_test",
        ["the input \"daily_{month}/x\"", "cannot be the name of one"],
        optional_inputs = ["daily_{month}/x"],
    )
    _must_fail("a_view_without_inputs_test", ["no input begins with \"weekly\"", "the view \"week\""], inputs = ["daily/x"], views = {"week": "weekly"})
    _must_fail("a_view_with_a_space_test", ["views of", "\"my view\"", "letters, digits, _ and -"], inputs = ["daily/x"], views = {"my view": "daily"})
    _must_fail("a_source_with_a_dot_test", ["srcs of", "\"a.b\"", "letters, digits, _ and -"], srcs = {"a.b": "expected.csv"})
    _must_fail(
        "a_view_of_two_datasets_test",
        ["\"daily\" is the view of \"flights/daily\" and also of the input \"daily/x\""],
        inputs = ["daily/x", "flights/daily/x"],
        views = {"daily": "flights/daily"},
    )
    _must_fail("two_spellings_of_a_view_test", ["the views \"daily\" and \"Daily\", which are one name for DuckDB"], inputs = ["daily/x", "Daily/x"])
    _must_fail("an_input_and_a_source_test", ["the views \"daily\" and \"daily\""], srcs = {"daily": "expected.csv"}, inputs = ["daily/x"])
    _must_fail("a_view_of_the_name_of_the_result_test", ["the view \"Result\"", "the name of the result in checks"], inputs = ["Result/x"])
    _must_fail("columns_of_no_view_test", ["columns of", "\"weekly\" is not a view; the views are: daily"], inputs = ["daily/x"], columns = {"weekly": {"x": "INT"}})
    _must_fail("a_view_without_columns_test", ["the view \"daily\" has none"], inputs = ["daily/x"], columns = {"daily": {}})

    native.filegroup(
        name = "no_files",
        srcs = [],
    )
    _must_fail("a_source_without_files_test", ["srcs of", "the target of the view \"airlines\" has no files"], srcs = {"airlines": ":no_files"})

    databuild_job(
        name = "of_another_kind",
        binary = "//tests/rules:program",
        outputs = ["sum/{names}"],
    )
    _test_must_fail(
        "a_test_of_another_job_test",
        ["//tests/rules/duckdb:of_another_kind, which is not a databuild_duckdb_job"],
        job = ":of_another_kind",
    )
    _test_must_fail(
        "a_test_of_an_unknown_view_test",
        ["\"weekly\" is not a view of //tests/rules/duckdb:full; its views are: last, daily, votes, airlines, carriers"],
        inputs = {"weekly": "expected.csv"},
        job = ":full",
    )

    native.test_suite(name = name)
