"""The rule of a graph, which the macro `databuild_graph` instantiates."""

load(":catalog.bzl", "write_catalog")
load(":extensions.bzl", "check_extensions", "extension_info")
load(":labels.bzl", "label_text")
load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher_info")
load(":notifications.bzl", "check_notifications")
load(":patterns.bzl", "pattern_shape")
load(":program.bzl", "program_attr", "program_info")
load(":providers.bzl", "DataBuildGraphInfo", "DataBuildJobInfo")
load(":resources.bzl", "resource_counts")

visibility(["//rules/..."])

_DOC = "Job catalog and launcher of a graph."

_ATTRS = {
    "bes_results_url": attr.string(
        doc = "URL of the pages of a Build Event Service.",
    ),
    "cli": attr.label(
        cfg = "target",
        default = "//databuild/cli:main",
        doc = "Command line that the launcher starts. Only tests set it.",
        executable = True,
    ),
    "default_partitions": attr.string_list(
        doc = "Partitions to build when the command names none: refs or ranges of refs.",
    ),
    "executor": attr.string(
        doc = "Address of the engine that runs the jobs.",
    ),
    "executors": attr.string_list(
        doc = "Names of engines that builds may choose.",
    ),
    "exporters": attr.string_list(
        doc = "URIs of exporters of events.",
    ),
    "extensions": attr.label_keyed_string_dict(
        doc = "Extensions of DataBuild, with their names.",
    ),
    "jobs": attr.label_list(
        doc = "Jobs of the graph.",
        mandatory = True,
        providers = [DataBuildJobInfo],
    ),
    "log_store": attr.string(
        doc = "Place of job logs.",
    ),
    "lookup": program_attr(
        doc = "Program that maps refs to jobs, instead of the partition patterns of the jobs.",
    ),
    "max_partitions": attr.int(
        doc = "Maximum number of partitions that one plan considers before it fails; 0 for 10,000,000.",
    ),
    "max_running_jobs": attr.int(
        doc = "Maximum number of job runs at the same time, in all builds that share an event log; 0 for no limit.",
    ),
    "notify": attr.string_list(
        doc = "URLs that get notifications.",
    ),
    "notify_on": attr.string_list(
        doc = "Occasions of notifications.",
    ),
    "resources": attr.string_dict(
        doc = "Capacity of each named resource, in all builds that share an event log: positive integers.",
    ),
    "storage": attr.string_list(
        doc = "Names of kinds of object stores that builds may use.",
    ),
} | LAUNCHER_ATTRS

def _check_labels(label, jobs):
    if not jobs:
        fail("{} has no jobs".format(label))
    target_of_label = {}
    for target in jobs:
        job = target[DataBuildJobInfo]
        other = target_of_label.setdefault(job.label, target)
        if other != target and other.label != target.label:
            fail("{} has two jobs with the label {}: {} and {}; use jobs from only one of these repositories".format(
                label,
                job.label,
                str(other.label),
                str(target.label),
            ))
        elif other != target:
            fail("{} lists the job {} twice".format(label, job.label))

def _check_patterns(label, jobs, lookup):
    if lookup:
        for job in jobs:
            if job.declaration and job.declaration.optional_inputs:
                fail("the job {} has optional_inputs, but {} has a lookup; whether an input exists is decided by patterns".format(job.label, label))
        return
    job_of_shape = {}
    for job in jobs:
        if not job.outputs:
            fail("the job {} of {} has no outputs; add `outputs` to the job or a `lookup` to the graph".format(job.label, label))
        for pattern in job.outputs:
            shape = pattern_shape(job.label, pattern)
            other = job_of_shape.setdefault(shape, (job, pattern))
            if other[0] != job:
                fail("two jobs of {} produce the same refs: {} with {} and {} with {}".format(
                    label,
                    other[0].label,
                    repr(other[1]),
                    job.label,
                    repr(pattern),
                ))

def _check_resources(label, jobs, resources):
    for job in jobs:
        for name, count in job.resources.items():
            available = resources.get(name, 0)
            if count > available:
                fail("the job {} uses {} of the resource {}, but {} has {}".format(job.label, count, repr(name), label, available or "none"))

def _databuild_graph_impl(ctx):
    label = label_text(ctx.label)
    _check_labels(label, ctx.attr.jobs)
    jobs = sorted([target[DataBuildJobInfo] for target in ctx.attr.jobs], key = lambda job: job.label)
    resources = resource_counts(label, ctx.attr.resources)
    _check_patterns(label, jobs, ctx.attr.lookup)
    _check_resources(label, jobs, resources)
    if ctx.attr.max_partitions < 0:
        fail("max_partitions of {} is {}, but must not be negative".format(label, ctx.attr.max_partitions))
    if ctx.attr.max_running_jobs < 0:
        fail("max_running_jobs of {} is {}, but must not be negative".format(label, ctx.attr.max_running_jobs))

    check_extensions(label, ctx.attr.executor, ctx.attr.executors, ctx.attr.log_store, ctx.attr.storage, ctx.attr.exporters, ctx.attr.bes_results_url)
    check_notifications(label, ctx.attr.notify, ctx.attr.notify_on)
    extensions = extension_info(ctx.attr.extensions)
    lookup = program_info(ctx, "lookup") if ctx.attr.lookup else None
    catalog = write_catalog(
        ctx,
        graph_label = label,
        jobs = jobs,
        lookup = lookup,
        resources = resources,
        extensions = extensions.import_paths,
    )
    runfiles = ctx.runfiles(files = [catalog, ctx.executable.cli]).merge_all(
        [target[DefaultInfo].default_runfiles for target in [ctx.attr.cli] + ctx.attr.jobs] + ([lookup.runfiles] if lookup else []) + extensions.runfiles,
    )
    graph = DataBuildGraphInfo(
        catalog = catalog,
        cli = ctx.executable.cli,
        jobs = [job.label for job in jobs],
        label = label,
        runfiles = runfiles,
    )
    return [launcher_info(ctx, graph), graph]

databuild_graph = rule(
    implementation = _databuild_graph_impl,
    attrs = _ATTRS,
    doc = _DOC,
    executable = True,
    provides = [DataBuildGraphInfo],
)
