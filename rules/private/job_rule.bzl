"""The rule of a job, which the macro `databuild_job` instantiates.

The attribute for the timeout is `run_timeout`, because Bazel reserves `timeout` for tests, and `args` is `run_args` for the same
reason. The rule has the name of the macro, so that `bazel query 'kind(databuild_job, //...)'` finds jobs.
"""

load(":code_digest.bzl", "write_code_digest")
load(":code_files.bzl", "write_code_files")
load(":durations.bzl", "duration_seconds")
load(":labels.bzl", "label_text")
load(":patterns.bzl", "pattern_shape")
load(":program.bzl", "program_attr", "program_info")
load(":providers.bzl", "DataBuildJobInfo")
load(":resources.bzl", "resource_counts")
load(":sizes.bzl", "size_bytes")
load(":templates.bzl", "check_declaration")

visibility(["//rules/..."])

_MAX_HISTORY = 1000

_DOC = "A job with its code digest."

_ATTRS = {
    "batch_by": attr.string(
        doc = "Template. Outputs of one task have an equal value of it.",
    ),
    "batch_size": attr.int(
        doc = "Maximum number of outputs of one task.",
    ),
    "binary": program_attr(
        doc = "Program of the job.",
        mandatory = True,
    ),
    "bounds": attr.string_dict(
        doc = "First and last value of fields.",
    ),
    "check": attr.bool(
        doc = "True if the program has the sub-command `check`.",
    ),
    "declared": attr.bool(
        doc = "True if the job has no `config`.",
    ),
    "executor": attr.string(
        doc = "`local` for a job that always runs on the machine of the orchestrator.",
        values = ["", "local"],
    ),
    "history": attr.int(
        doc = "Number of earlier partitions with which `run.check_range` compares.",
    ),
    "infrastructure_retries": attr.int(
        default = 2,
        doc = "Maximum number of retries after an engine lost a job run.",
    ),
    "inputs": attr.string_list(
        doc = "Templates of inputs that the graph builds.",
    ),
    "optional_inputs": attr.string_list(
        doc = "Templates of inputs that the graph builds where a job produces them.",
    ),
    "outputs": attr.string_list(
        doc = "Partition patterns of the refs that the job produces.",
    ),
    "query_inputs": attr.string_list(
        doc = "Templates of inputs that are read as they are.",
    ),
    "resources": attr.string_dict(
        doc = "Amount of each named resource that one job run uses.",
    ),
    "retention": attr.string(
        doc = "Age at which data is deleted.",
    ),
    "retries": attr.int(
        doc = "Maximum number of retries after a failed job run.",
    ),
    "retry_backoff": attr.string(
        doc = "Delay before the first retry.",
    ),
    "run_args": attr.string_list(
        doc = "Templates of arguments.",
    ),
    "run_env": attr.string_dict(
        doc = "Templates of environment variables.",
    ),
    "run_timeout": attr.string(
        doc = "Maximum duration of one job run.",
    ),
    "worker": attr.bool(
        doc = "True if worker processes serve the job.",
    ),
    "worker_max_memory": attr.string(
        doc = "Memory above which a worker is replaced after a request.",
    ),
    "worker_max_requests": attr.int(
        doc = "Number of requests after which a worker is replaced.",
    ),
    "_code_digest": attr.label(
        cfg = "exec",
        default = "//rules/private:code_digest_tool",
        executable = True,
    ),
}

def _check_outputs(label, outputs):
    pattern_of_shape = {}
    for pattern in outputs:
        shape = pattern_shape(label, pattern)
        if shape in pattern_of_shape:
            fail("outputs {} and {} of {} match the same refs".format(repr(pattern_of_shape[shape]), repr(pattern), label))
        pattern_of_shape[shape] = pattern

def _declaration(ctx, label):
    """Returns the declaration of a job without `config`; None for a job that has one."""
    if not ctx.attr.declared:
        return None
    declaration = struct(
        args = ctx.attr.run_args,
        batch_by = ctx.attr.batch_by,
        batch_size = ctx.attr.batch_size,
        bounds = ctx.attr.bounds,
        env = ctx.attr.run_env,
        inputs = ctx.attr.inputs,
        optional_inputs = ctx.attr.optional_inputs,
        query_inputs = ctx.attr.query_inputs,
    )
    check_declaration(label, ctx.attr.outputs, declaration)
    return declaration

def _worker(ctx, label):
    """Returns the limits of the workers of a job; None for a job without workers."""
    if ctx.attr.worker_max_requests < 0:
        fail("worker_max_requests of {} is {}, but must not be negative".format(label, ctx.attr.worker_max_requests))
    if ctx.attr.worker:
        return struct(
            max_memory_bytes = size_bytes(label, "worker_max_memory", ctx.attr.worker_max_memory),
            max_requests = ctx.attr.worker_max_requests,
        )
    for attribute in ["worker_max_memory", "worker_max_requests"]:
        if getattr(ctx.attr, attribute):
            fail("{} of {} needs worker = True; each of its runs is a process of its own".format(attribute, label))
    return None

def _databuild_job_impl(ctx):
    label = label_text(ctx.label)
    _check_outputs(label, ctx.attr.outputs)
    if ctx.attr.retries < 0:
        fail("retries of {} is {}, but must not be negative".format(label, ctx.attr.retries))
    if ctx.attr.infrastructure_retries < 0:
        fail("infrastructure_retries of {} is {}, but must not be negative".format(label, ctx.attr.infrastructure_retries))
    if ctx.attr.history < 0 or ctx.attr.history > _MAX_HISTORY:
        fail("history of {} is {}, but must be from 0 to {}".format(label, ctx.attr.history, _MAX_HISTORY))
    program = program_info(ctx, "binary")
    code_digest = write_code_digest(ctx, ctx.executable._code_digest, program)
    code_files = write_code_files(ctx, program)
    return [
        DefaultInfo(
            files = depset([code_digest]),
            runfiles = program.runfiles.merge(ctx.runfiles(files = [code_digest, code_files])),
        ),
        DataBuildJobInfo(
            check = ctx.attr.check,
            code_digest = code_digest,
            code_files = code_files,
            declaration = _declaration(ctx, label),
            environment = program.environment,
            exec_properties = ctx.attr.exec_properties,
            executable = program.executable,
            executor = ctx.attr.executor,
            history = ctx.attr.history,
            infrastructure_retries = ctx.attr.infrastructure_retries,
            label = label,
            outputs = ctx.attr.outputs,
            resources = resource_counts(label, ctx.attr.resources),
            retention_seconds = duration_seconds(label, "retention", ctx.attr.retention),
            retries = ctx.attr.retries,
            retry_backoff_seconds = duration_seconds(label, "retry_backoff", ctx.attr.retry_backoff),
            tags = ctx.attr.tags,
            timeout_seconds = duration_seconds(label, "timeout", ctx.attr.run_timeout),
            worker = _worker(ctx, label),
        ),
    ]

databuild_job = rule(
    implementation = _databuild_job_impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [DataBuildJobInfo],
)
