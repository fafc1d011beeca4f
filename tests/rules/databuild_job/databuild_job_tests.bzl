"""Tests of databuild_job."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:defs.bzl", "DataBuildJobInfo", "databuild_job")
load("//tests/rules:failures.bzl", "must_fail")

visibility(["//tests/rules/..."])

def _says_what_was_declared_impl(ctx):
    env = analysistest.begin(ctx)
    job = analysistest.target_under_test(env)[DataBuildJobInfo]

    asserts.equals(env, "//tests/rules/databuild_job:full", job.label)
    asserts.equals(env, "tests/rules/program", job.executable.short_path)
    asserts.equals(env, ["daily/date={date:date}", "raw/{name:/[a-z\\/}]{2,3}/}"], job.outputs)
    asserts.equals(env, 5400, job.timeout_seconds)
    asserts.equals(env, 90 * 24 * 60 * 60, job.retention_seconds)
    asserts.equals(env, 3, job.retries)
    asserts.equals(env, 90, job.retry_backoff_seconds)
    asserts.equals(env, {"cpu": 1, "memory_gb": 4}, job.resources)
    asserts.equals(env, ["nightly"], job.tags)
    asserts.equals(env, True, job.check)
    asserts.equals(env, struct(max_memory_bytes = 1536 * 1024 * 1024, max_requests = 100), job.worker)
    return analysistest.end(env)

_says_what_was_declared_test = analysistest.make(_says_what_was_declared_impl)

def _has_defaults_impl(ctx):
    env = analysistest.begin(ctx)
    job = analysistest.target_under_test(env)[DataBuildJobInfo]

    asserts.equals(env, 0, job.timeout_seconds)
    asserts.equals(env, 0, job.retention_seconds)
    asserts.equals(env, 0, job.retries)
    asserts.equals(env, {}, job.resources)
    asserts.equals(env, None, job.declaration)
    asserts.equals(env, None, job.worker)
    asserts.equals(env, False, job.check)
    return analysistest.end(env)

_has_defaults_test = analysistest.make(_has_defaults_impl)

def _is_declared_with_any_of_the_attributes_impl(ctx):
    env = analysistest.begin(ctx)

    asserts.true(env, analysistest.target_under_test(env)[DataBuildJobInfo].declaration != None)
    return analysistest.end(env)

_is_declared_with_any_of_the_attributes_test = analysistest.make(_is_declared_with_any_of_the_attributes_impl)

def _takes_a_file_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)

    asserts.equals(env, "tests/rules/program.sh", target[DataBuildJobInfo].executable.short_path)
    asserts.true(env, "tests/rules/program.sh" in [file.short_path for file in target[DefaultInfo].default_runfiles.files.to_list()])
    return analysistest.end(env)

_takes_a_file_test = analysistest.make(_takes_a_file_impl)

def _takes_a_select_and_a_number_as_durations_impl(ctx):
    env = analysistest.begin(ctx)

    asserts.equals(env, 90, analysistest.target_under_test(env)[DataBuildJobInfo].timeout_seconds)
    asserts.equals(env, 5, analysistest.target_under_test(env)[DataBuildJobInfo].retry_backoff_seconds)
    return analysistest.end(env)

_takes_a_select_and_a_number_as_durations_test = analysistest.make(_takes_a_select_and_a_number_as_durations_impl)

def _has_the_environment_of_its_program_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    digests = [a for a in analysistest.target_actions(env) if a.mnemonic == "DataBuildCodeDigest"]

    asserts.equals(env, {"DATA": "_main/tests/rules/program_data.txt", "GREETING": "hello"}, target[DataBuildJobInfo].environment)
    asserts.true(env, "\"GREETING\":\"hello\"" in " ".join(digests[0].argv), "the code digest does not cover the environment")
    return analysistest.end(env)

_has_the_environment_of_its_program_test = analysistest.make(_has_the_environment_of_its_program_impl)

def _hashes_all_runfiles_impl(ctx):
    env = analysistest.begin(ctx)
    actions = [a for a in analysistest.target_actions(env) if a.mnemonic == "DataBuildCodeDigest"]
    inputs = [file.short_path for file in actions[0].inputs.to_list()]

    asserts.equals(env, 1, len(actions))
    asserts.true(env, "tests/rules/program" in inputs)
    asserts.true(env, "tests/rules/program_data.txt" in inputs)
    argv = actions[0].argv
    for path, origin in {"tests/rules/program": "generated", "tests/rules/program_data.txt": "source"}.items():
        asserts.equals(env, origin, argv[argv.index(path) + 2], path)
    asserts.equals(env, ["minimal.code_digest"], [file.basename for file in actions[0].outputs.to_list()])
    return analysistest.end(env)

_hashes_all_runfiles_test = analysistest.make(_hashes_all_runfiles_impl)

def _must_fail(name, messages, outputs = ["a/{x}"], binary = "//tests/rules:program", **kwargs):
    must_fail(
        name = name,
        messages = messages + ["//tests/rules/databuild_job:{}_subject".format(name)],
        rule = databuild_job,
        binary = binary,
        outputs = outputs,
        **kwargs
    )

# Each of these attributes declares a job, which then has no `config`.
_DECLARING = {
    "args": ["{x}"],
    "batch_by": "{x}",
    "batch_size": 2,
    "bounds": {"x": "1.."},
    "env": {"X": "{x}"},
    "inputs": [],
    "optional_inputs": ["b/{x-1}"],
    "query_inputs": select({"//conditions:default": ["b/{*}"]}),
}

# Mistakes in attributes of declared jobs, with texts that the messages must contain.
_MISTAKES = {
    "a_negative_batch_size": ({"batch_size": -1}, ["batch_size", "-1"]),
    "a_variable_without_name": ({"env": {"": "x"}}, ["env", "not a valid name"]),
    "an_open_brace": ({"inputs": ["b/{x"]}, ["inputs", "\"b/{x\"", "braces do not match"]),
    "an_unknown_field_of_args": ({"args": ["{y}"]}, ["args", "\"{y}\"", "the fields are: x"]),
    "an_unknown_field_of_batch_by": ({"batch_by": "{y.month}"}, ["batch_by", "\"{y.month}\"", "the fields are: x"]),
    "an_unknown_field_of_bounds": ({"bounds": {"y": "1.."}}, ["bounds", "\"y\"", "the fields are: x"]),
    "an_unknown_field_of_env": ({"env": {"Y": "{y}"}}, ["env", "\"{y}\"", "the fields are: x"]),
    "an_unknown_field_of_inputs": ({"inputs": ["b/{y-1}"]}, ["inputs", "\"{y-1}\"", "the fields are: x"]),
    "an_unknown_field_of_optional_inputs": ({"optional_inputs": ["b/{y}"]}, ["optional_inputs", "\"{y}\""]),
    "an_unknown_field_of_query_inputs": ({"query_inputs": ["b/{y}/{*}"]}, ["query_inputs", "\"{y}\""]),
    "any_value_that_is_not_last": ({"query_inputs": ["b/{*}/{x}"]}, ["query_inputs", "\"{*}\""]),
    "bounds_without_dots": ({"bounds": {"x": "1"}}, ["bounds", "\"x\"", "\"1\"", "`..`"]),
    "no_outputs": ({"inputs": [], "outputs": []}, ["has no outputs"]),
    "outputs_with_other_fields": ({"inputs": [], "outputs": ["a/{x:int}", "b/{x}"]}, ["\"a/{x:int}\"", "\"b/{x}\"", "different fields"]),
}

def databuild_job_tests(name):
    """Declares the tests.

    Args:
        name: The name of the suite of them all.
    """
    databuild_job(
        name = "full",
        binary = "//tests/rules:program",
        check = True,
        outputs = [
            "daily/date={date:date}",
            "raw/{name:/[a-z\\/}]{2,3}/}",
        ],
        resources = {
            "memory_gb": "4",
            "cpu": "1",
        },
        retention = "90d",
        retries = 3,
        retry_backoff = "90",
        tags = ["nightly"],
        timeout = "1h30m",
        worker = True,
        worker_max_memory = "1536MiB",
        worker_max_requests = 100,
    )
    databuild_job(
        name = "minimal",
        binary = "//tests/rules:program",
        outputs = ["sum/{names}"],
    )
    _says_what_was_declared_test(
        name = "says_what_was_declared_test",
        size = "small",
        target_under_test = ":full",
    )
    _has_defaults_test(
        name = "has_defaults_test",
        size = "small",
        target_under_test = ":minimal",
    )
    databuild_job(
        name = "of_a_file",
        timeout = select({"//conditions:default": "90s"}),
        retry_backoff = 5,
        binary = "//tests/rules:program.sh",
        outputs = ["sum/{names}"],
    )
    _takes_a_file_test(
        name = "takes_a_file_test",
        size = "small",
        target_under_test = ":of_a_file",
    )
    _takes_a_select_and_a_number_as_durations_test(
        name = "takes_a_select_and_a_number_as_durations_test",
        size = "small",
        target_under_test = ":of_a_file",
    )
    for kind in ["sh", "py"]:
        databuild_job(
            name = kind + "_with_env",
            binary = "//tests/rules:{}_program_with_env".format(kind),
            outputs = ["sum/{names}"],
        )
        _has_the_environment_of_its_program_test(
            name = kind + "_has_the_environment_of_its_program_test",
            size = "small",
            target_under_test = ":{}_with_env".format(kind),
        )
    _hashes_all_runfiles_test(
        name = "hashes_all_runfiles_test",
        size = "small",
        target_under_test = ":minimal",
    )

    _must_fail(
        "a_program_with_args_test",
        ["//tests/rules:program_with_args", "args = [\"--verbose\"]"],
        binary = "//tests/rules:alias_of_program_with_args",
    )
    _must_fail("a_timeout_that_is_no_duration_test", ["timeout", "\"10 minutes\""], timeout = "10 minutes")
    _must_fail("a_retention_that_is_no_duration_test", ["retention", "\"90 days\""], retention = "90 days")
    _must_fail("a_timeout_that_ends_without_unit_test", ["timeout", "\"1h30\""], timeout = "1h30")
    _must_fail("a_backoff_that_is_no_duration_test", ["retry_backoff", "\"soon\""], retry_backoff = "soon")
    _must_fail("negative_infrastructure_retries_test", ["infrastructure_retries", "-1"], infrastructure_retries = -1)
    _must_fail("negative_retries_test", ["retries", "-1"], retries = -1)
    _must_fail("negative_worker_max_requests_test", ["worker_max_requests", "-1"], worker = True, worker_max_requests = -1)
    _must_fail("requests_of_no_worker_test", ["worker_max_requests", "worker = True"], worker_max_requests = 9)
    _must_fail("memory_of_no_worker_test", ["worker_max_memory", "worker = True"], worker_max_memory = "1GB")
    _must_fail("a_memory_that_is_no_size_test", ["worker_max_memory", "\"2 GB\"", "512MB"], worker = True, worker_max_memory = "2 GB")
    _must_fail("a_resource_that_is_no_number_test", ["\"memory_gb\"", "\"4GB\""], resources = {"memory_gb": "4GB"})
    _must_fail("a_resource_of_nothing_test", ["\"cpu\"", "\"0\""], resources = {"cpu": "0"})
    _must_fail("a_resource_without_name_test", ["empty name"], resources = {"": "1"})
    _must_fail("an_empty_pattern_test", ["it is empty"], outputs = [""])
    _must_fail("an_open_brace_test", ["'{' without a matching '}'", "\"a/{x\""], outputs = ["a/{x"])
    _must_fail("a_closing_brace_test", ["'}' without a matching '{'", "\"a/x}\""], outputs = ["a/x}"])
    _must_fail("a_field_without_name_test", ["not a valid name for a field", "\"a/{:date}\""], outputs = ["a/{:date}"])
    _must_fail("a_field_without_type_test", ["has a colon but no type", "\"a/{x:}\""], outputs = ["a/{x:}"])
    _must_fail("two_fields_of_one_name_test", ["two fields", "\"x\""], outputs = ["a/{x}/{x}"])
    _must_fail("an_unknown_type_test", ["unknown type \"dat\"", "\"a/{x:dat}\"", "date, hour, int, minute, month, quarter, str, week, year"], outputs = ["a/{x:dat}"])
    _must_fail("an_open_regex_test", ["'{' without a matching '}'", "\"a/{x:/y}\""], outputs = ["a/{x:/y}"])
    _must_fail("two_equal_outputs_test", ["\"a/{x}\"", "\"a/{y:str}\""], outputs = ["a/{x}", "a/{y:str}"])

    for attribute, value in _DECLARING.items():
        databuild_job(
            name = "with_" + attribute,
            binary = "//tests/rules:program",
            outputs = ["a/{x:int}"],
            **{attribute: value}
        )
        _is_declared_with_any_of_the_attributes_test(
            name = "is_declared_with_{}_test".format(attribute),
            size = "small",
            target_under_test = ":with_" + attribute,
        )
    for mistake, (attributes, messages) in _MISTAKES.items():
        _must_fail(mistake + "_is_refused_test", messages, **({"outputs": ["a/{x:int}"]} | attributes))

    native.test_suite(name = name)
