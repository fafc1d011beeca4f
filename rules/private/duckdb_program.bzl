"""The rule of the program of a SQL job: the shared runner with a checked query."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":duckdb_views.bzl", "UNSUPPORTED", "check_output", "check_views", "datasets_of", "files_of_views")
load(":labels.bzl", "label_text", "rlocation_path")
load(":patterns.bzl", "pattern_fields", "pattern_shape")

visibility(["//rules/..."])

DuckDbQueryInfo = provider(
    doc = "The query of a SQL job.",
    fields = {
        "query": "File: the query, as databuild/sql/query.py reads it.",
        "runfiles": "runfiles: source files of the query.",
        "views": "list of strings: names of its views.",
    },
)

_DOC = "The program of a SQL job."

_ATTRS = {
    "checks": attr.string_dict(
        doc = "Checks of severity error: SELECTs by name.",
    ),
    "columns": attr.string(
        default = "{}",
        doc = "Names and types of columns, by view, as JSON.",
    ),
    "data_root": attr.string(
        doc = "Directory of results.",
    ),
    "inputs": attr.string_list(
        doc = "Templates of all inputs.",
    ),
    "memory_limit": attr.string(
        doc = "Maximum memory of DuckDB.",
        mandatory = True,
    ),
    "outputs": attr.string_list(
        doc = "Partition pattern of the job, a list of one.",
    ),
    "sql": attr.label(
        allow_single_file = True,
        doc = "File of the query.",
        mandatory = True,
    ),
    "srcs": attr.label_keyed_string_dict(
        allow_files = True,
        doc = "Files that are views, with the names of their views.",
    ),
    "threads": attr.int(
        doc = "Number of threads of DuckDB.",
        mandatory = True,
    ),
    "unsupported": attr.string_list(
        doc = "Names of attributes that the job has, but SQL jobs do not.",
    ),
    "views": attr.string_dict(
        doc = "First segments of refs by the name of a view.",
    ),
    "warning_checks": attr.string_dict(
        doc = "Checks of severity warning: SELECTs by name.",
    ),
    "_check_query": attr.label(
        cfg = "exec",
        default = "//databuild/sql:check_query",
        executable = True,
    ),
    "_data_root": attr.label(
        default = "//rules:duckdb_data_root",
        providers = [BuildSettingInfo],
    ),
    "_runner": attr.label(
        cfg = "target",
        default = "//databuild/sql:run_job",
        executable = True,
    ),
}

def _check_attributes(ctx, label):
    for attribute in ctx.attr.unsupported:
        fail("{} has the attribute {}, but a SQL job has none: {}".format(label, attribute, UNSUPPORTED[attribute]))
    if ctx.attr.threads < 1:
        fail("threads of {} is {}, but must be positive".format(label, ctx.attr.threads))
    for check in ctx.attr.checks:
        if check in ctx.attr.warning_checks:
            fail("{} has the check {} both in checks and in warning_checks".format(label, repr(check)))

def _sources(ctx, label):
    """Returns the source files of each view, by its name."""
    sources = files_of_views(ctx.attr.srcs)
    for view, files in sources.items():
        if not files:
            fail("srcs of {}: the target of the view {} has no files".format(label, repr(view)))
    return sources

def _duckdb_program_impl(ctx):
    label = label_text(ctx.label).removesuffix(".program")
    _check_attributes(ctx, label)
    output = check_output(label, ctx.attr.outputs)
    pattern_shape(label, output)
    datasets = datasets_of(label, ctx.attr.inputs, ctx.attr.views)
    sources = _sources(ctx, label)
    columns = json.decode(ctx.attr.columns)
    check_views(label, datasets, sources, columns)
    description = {
        "checks": {"error": ctx.attr.checks, "warning": ctx.attr.warning_checks},
        "columns": columns,
        "data_root": ctx.attr.data_root,
        "datasets": datasets,
        "default_data_root": ctx.attr._data_root[BuildSettingInfo].value,
        "fields": pattern_fields(label, output).keys(),
        "memory_limit": ctx.attr.memory_limit,
        "output": output,
        # Paths of this form do not make data stale if the package moves (docs/adr/0015-the-code-digest-is-relative-to-the-program.md).
        "select": rlocation_path(ctx, ctx.file.sql),
        "sources": {view: [rlocation_path(ctx, file) for file in files] for view, files in sources.items()},
        "threads": ctx.attr.threads,
    }
    query = ctx.actions.declare_file(ctx.label.name + ".query.json")
    ctx.actions.run(
        executable = ctx.executable._check_query,
        arguments = [json.encode(description), ctx.file.sql.path, query.path],
        inputs = [ctx.file.sql],
        outputs = [query],
        mnemonic = "DataBuildCheckQuery",
        progress_message = "Checking the SQL of %{label}",
    )
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = program,
        target_file = ctx.executable._runner,
        is_executable = True,
    )
    source_files = ctx.runfiles(files = [file for files in sources.values() for file in files])
    runner = ctx.attr._runner[DefaultInfo].default_runfiles
    return [
        DefaultInfo(
            executable = program,
            files = depset([program, query]),
            runfiles = ctx.runfiles(files = [query]).merge_all([runner, source_files]),
        ),
        DuckDbQueryInfo(
            query = query,
            runfiles = source_files,
            views = datasets.keys() + sources.keys(),
        ),
        RunEnvironmentInfo(environment = {"DATABUILD_SQL_QUERY": rlocation_path(ctx, query)}),
    ]

duckdb_program = rule(
    implementation = _duckdb_program_impl,
    attrs = _ATTRS,
    doc = _DOC,
    executable = True,
    provides = [DuckDbQueryInfo],
)
