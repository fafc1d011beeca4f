"""The rule of a test of a SQL job, which the macro `databuild_duckdb_test` instantiates."""

load(":duckdb_program.bzl", "DuckDbQueryInfo")
load(":duckdb_views.bzl", "files_of_views")
load(":labels.bzl", "label_text", "rlocation_path")
load(":providers.bzl", "DataBuildJobInfo")

visibility(["//rules/..."])

_DOC = "A test of a SQL job."

_JobQueryInfo = provider(
    doc = "The program of a job.",
    fields = {"query": "DuckDbQueryInfo of the job; None for a job of another kind."},
)

def _job_query_aspect_impl(_target, ctx):
    program = getattr(ctx.rule.attr, "binary", None)
    return [_JobQueryInfo(query = program[DuckDbQueryInfo] if program and DuckDbQueryInfo in program else None)]

_job_query_aspect = aspect(
    implementation = _job_query_aspect_impl,
    doc = "Finds the query of a job.",
    provides = [_JobQueryInfo],
)

_ATTRS = {
    "expected": attr.label(
        allow_single_file = [".csv"],
        doc = "Expected result.",
        mandatory = True,
    ),
    "failing_checks": attr.string_list(
        doc = "Checks of the job that fail in this case.",
    ),
    "inputs": attr.label_keyed_string_dict(
        allow_files = True,
        doc = "Files with the names of their views.",
    ),
    "job": attr.label(
        aspects = [_job_query_aspect],
        doc = "Job to test, a `databuild_duckdb_job`.",
        mandatory = True,
        providers = [DataBuildJobInfo],
    ),
    "ordered": attr.bool(
        doc = "True to compare the order of rows as well.",
    ),
    "output": attr.string(
        doc = "Ref that the job produces in this case.",
        mandatory = True,
    ),
    "types": attr.string_dict(
        doc = "Expected types of columns of the result.",
    ),
    "_runner": attr.label(
        cfg = "target",
        default = "//databuild/sql/testing:run_test",
        executable = True,
    ),
}

def _inputs(ctx, query):
    """Returns the files of each view, by its name."""
    inputs = files_of_views(ctx.attr.inputs)
    for view in inputs:
        if view not in query.views:
            fail("inputs of {}: {} is not a view of {}; its views are: {}".format(
                label_text(ctx.label),
                repr(view),
                label_text(ctx.attr.job.label),
                ", ".join(query.views) or "none",
            ))
    return inputs

def _databuild_duckdb_test_impl(ctx):
    query = ctx.attr.job[_JobQueryInfo].query
    if not query:
        fail("job of {} is {}, which is not a databuild_duckdb_job".format(label_text(ctx.label), label_text(ctx.attr.job.label)))
    inputs = _inputs(ctx, query)
    test = {
        "expected": rlocation_path(ctx, ctx.file.expected),
        "expected_source": ctx.file.expected.short_path if ctx.file.expected.is_source else "",
        "failing_checks": ctx.attr.failing_checks,
        "inputs": {view: [rlocation_path(ctx, file) for file in files] for view, files in inputs.items()},
        "label": label_text(ctx.label),
        "ordered": ctx.attr.ordered,
        "output": ctx.attr.output,
        "query": rlocation_path(ctx, query.query),
        "types": ctx.attr.types,
    }
    description = ctx.actions.declare_file(ctx.label.name + ".test.json")
    ctx.actions.write(description, json.encode_indent(test))
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = program,
        target_file = ctx.executable._runner,
        is_executable = True,
    )
    files = [description, query.query, ctx.file.expected] + [file for files in inputs.values() for file in files]
    return [
        DefaultInfo(
            executable = program,
            runfiles = ctx.runfiles(files = files).merge_all([ctx.attr._runner[DefaultInfo].default_runfiles, query.runfiles]),
        ),
        RunEnvironmentInfo(environment = {"DATABUILD_SQL_TEST": rlocation_path(ctx, description)}),
    ]

databuild_duckdb_test = rule(
    implementation = _databuild_duckdb_test_impl,
    attrs = _ATTRS,
    doc = _DOC,
    test = True,
)
