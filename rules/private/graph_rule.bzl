"""The rule of a graph, which the macro databuild_graph makes a bundle of targets with."""

load(":catalog.bzl", "write_catalog")
load(":labels.bzl", "label_text")
load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher_info")
load(":patterns.bzl", "pattern_shape")
load(":program.bzl", "program_attr", "program_info")
load(":providers.bzl", "DataBuildGraphInfo", "DataBuildJobInfo")
load(":resources.bzl", "resource_counts")

visibility(["//rules/..."])

_DOC = "Writes the job catalog and the launcher of a graph."

_ATTRS = {
    "cli": attr.label(
        cfg = "target",
        default = "//databuild/cli:main",
        doc = "The command line that the launcher starts. Another one is for tests.",
        executable = True,
    ),
    "default_partitions": attr.string_list(
        doc = "What is built when nothing is asked for: refs or ranges of refs.",
    ),
    "jobs": attr.label_list(
        doc = "The jobs.",
        mandatory = True,
        providers = [DataBuildJobInfo],
    ),
    "lookup": program_attr(
        doc = "A program that says which job produces a ref, in place of the jobs' patterns.",
    ),
    "max_partitions": attr.int(
        doc = "How many partitions one plan may consider before it fails, so that a job which always needs one more partition has an end; 0 for 10,000,000.",
    ),
    "max_running_jobs": attr.int(
        doc = "How many job runs may run at once, in all builds that share an event log; 0 for any number.",
    ),
    "resources": attr.string_dict(
        doc = "How much of each named resource all job runs together may use at once, in all builds that share an event log: positive whole numbers.",
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
            fail("{} has two jobs that would both be called {}: {} and {}; a graph takes jobs from only one of these repositories".format(
                label,
                job.label,
                str(other.label),
                str(target.label),
            ))
        elif other != target:
            fail("{} has the job {} twice among its jobs".format(label, job.label))

def _check_patterns(label, jobs, lookup):
    if lookup:
        return
    job_of_shape = {}
    for job in jobs:
        if not job.outputs:
            fail("the job {} of {} has no outputs, and the graph no lookup that could say what it produces".format(job.label, label))
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
                fail("the job {} takes {} of the resource {}, but {} has {}".format(job.label, count, repr(name), label, available or "none"))

def _databuild_graph_impl(ctx):
    label = label_text(ctx.label)
    _check_labels(label, ctx.attr.jobs)
    jobs = sorted([target[DataBuildJobInfo] for target in ctx.attr.jobs], key = lambda job: job.label)
    resources = resource_counts(label, ctx.attr.resources)
    _check_patterns(label, jobs, ctx.attr.lookup)
    _check_resources(label, jobs, resources)
    if ctx.attr.max_partitions < 0:
        fail("max_partitions of {} is {}, and cannot be negative".format(label, ctx.attr.max_partitions))
    if ctx.attr.max_running_jobs < 0:
        fail("max_running_jobs of {} is {}, and cannot be negative".format(label, ctx.attr.max_running_jobs))

    lookup = program_info(ctx, "lookup") if ctx.attr.lookup else None
    catalog = write_catalog(
        ctx,
        graph_label = label,
        jobs = jobs,
        lookup = lookup,
        default_partitions = ctx.attr.default_partitions,
        resources = resources,
        max_running_jobs = ctx.attr.max_running_jobs,
        max_partitions = ctx.attr.max_partitions,
    )
    runfiles = ctx.runfiles(files = [catalog, ctx.executable.cli]).merge_all(
        [target[DefaultInfo].default_runfiles for target in [ctx.attr.cli] + ctx.attr.jobs] + ([lookup.runfiles] if lookup else []),
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
