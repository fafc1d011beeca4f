"""Writes the job catalog, the only data that crosses from Starlark to Python.

proto/databuild/v1/catalog.proto documents its fields.
"""

load(":labels.bzl", "rlocation_path")

visibility(["//rules/..."])

def _catalog_declaration(declaration):
    entry = {
        "args": declaration.args,
        "batchBy": declaration.batch_by,
        "batchSize": declaration.batch_size,
        "bounds": declaration.bounds,
        "env": declaration.env,
        "inputs": declaration.inputs,
        "optionalInputs": declaration.optional_inputs,
        "queryInputs": declaration.query_inputs,
    }
    return {name: value for name, value in entry.items() if value}

def _catalog_job(ctx, job):
    entry = {
        "codeDigestFile": rlocation_path(ctx, job.code_digest),
        "codeFiles": rlocation_path(ctx, job.code_files),
        "executable": rlocation_path(ctx, job.executable),
        "label": job.label,
        "outputs": job.outputs,
    }
    if job.environment:
        entry["environment"] = job.environment
    if job.declaration:
        entry["declaration"] = _catalog_declaration(job.declaration)
    if job.timeout_seconds:
        entry["timeoutSeconds"] = job.timeout_seconds
    retry = {}
    if job.retries:
        retry = {"backoffSeconds": job.retry_backoff_seconds, "retries": job.retries}
    if job.infrastructure_retries != 2:
        retry["infrastructureRetries"] = job.infrastructure_retries
    if retry:
        entry["retry"] = retry
    if job.executor:
        entry["executor"] = job.executor
    if job.history:
        entry["history"] = job.history
    if job.check:
        entry["check"] = True
    if job.exec_properties:
        entry["execProperties"] = job.exec_properties
    if job.resources:
        entry["resources"] = job.resources
    if job.retention_seconds:
        entry["retentionSeconds"] = job.retention_seconds
    if job.tags:
        entry["tags"] = job.tags
    if job.worker:
        limits = {"maxMemoryBytes": job.worker.max_memory_bytes, "maxRequests": job.worker.max_requests}
        entry["worker"] = {name: value for name, value in limits.items() if value}
    return entry

def write_catalog(ctx, *, graph_label, jobs, lookup, default_partitions, resources, max_running_jobs, max_partitions, executor, log_store, notify, notify_on, exporters, bes_results_url, extensions, exec_properties):
    """Writes the job catalog of a graph.

    Args:
        ctx: Context of the rule.
        graph_label: Label of the graph, as text.
        jobs: DataBuildJobInfo of each job.
        lookup: Lookup program, as program_info returns it, or None.
        default_partitions: Partitions to build when a request names none.
        resources: Capacity of each named resource.
        max_running_jobs: Maximum number of job runs at the same time; 0 for no limit.
        max_partitions: Maximum number of partitions that one plan considers; 0 for the default.
        executor: Address of the engine that runs the jobs; empty for none.
        log_store: Place of job logs; empty for the state directory.
        notify: URLs that get notifications.
        notify_on: Occasions of notifications; empty for the default ones.
        exporters: URIs of exporters of events.
        bes_results_url: URL of the pages of a Build Event Service; empty for none.
        extensions: Import paths of each extension, by its name.
        exec_properties: Requirements on machines for jobs that do not set them.

    Returns:
        The file.
    """
    catalog = {
        "graphLabel": graph_label,
        "jobs": [_catalog_job(ctx, job) for job in jobs],
    }
    if lookup:
        catalog["lookup"] = rlocation_path(ctx, lookup.executable)
        if lookup.environment:
            catalog["lookupEnvironment"] = lookup.environment
    if default_partitions:
        catalog["defaultPartitions"] = default_partitions
    if resources:
        catalog["resources"] = resources
    if max_running_jobs:
        catalog["maxRunningJobs"] = max_running_jobs
    if max_partitions:
        catalog["maxPartitions"] = max_partitions
    if executor:
        catalog["executor"] = executor
    if notify:
        catalog["notify"] = notify
    if notify_on:
        catalog["notifyOn"] = notify_on
    if exporters:
        catalog["exporters"] = exporters
    if bes_results_url:
        catalog["besResultsUrl"] = bes_results_url
    if log_store:
        catalog["logStore"] = log_store
    if extensions:
        catalog["extensions"] = {name: {"importPaths": paths} for name, paths in extensions.items()}
    if exec_properties:
        catalog["execProperties"] = exec_properties

    file = ctx.actions.declare_file(ctx.label.name + ".catalog.json")
    ctx.actions.write(file, json.encode_indent(catalog, indent = "  ") + "\n")
    return file
