"""Writes the job catalog, the only data that crosses from Starlark to Python.

proto/databuild/v1/catalog.proto documents its fields.
"""

load(":labels.bzl", "rlocation_path")

visibility(["//rules/..."])

# The default that databuild/graph/catalog.py has for the field.
_INFRASTRUCTURE_RETRIES = 2

def _without_defaults(entry):
    """Returns the fields that have a value: protobuf JSON leaves the others out."""
    return {name: value for name, value in entry.items() if value}

def _catalog_declaration(declaration):
    return _without_defaults({
        "args": declaration.args,
        "batchBy": declaration.batch_by,
        "batchSize": declaration.batch_size,
        "bounds": declaration.bounds,
        "env": declaration.env,
        "inputs": declaration.inputs,
        "optionalInputs": declaration.optional_inputs,
        "queryInputs": declaration.query_inputs,
    })

def _catalog_retry(job):
    retry = {}
    if job.retries:
        retry = {"backoffSeconds": job.retry_backoff_seconds, "retries": job.retries}
    if job.infrastructure_retries != _INFRASTRUCTURE_RETRIES:
        retry["infrastructureRetries"] = job.infrastructure_retries
    return retry

def _catalog_job(ctx, job):
    entry = {
        "codeDigestFile": rlocation_path(ctx, job.code_digest),
        "codeFiles": rlocation_path(ctx, job.code_files),
        "executable": rlocation_path(ctx, job.executable),
        "label": job.label,
        "outputs": job.outputs,
    } | _without_defaults({
        "check": job.check,
        "environment": job.environment,
        "execProperties": job.exec_properties,
        "executor": job.executor,
        "history": job.history,
        "resources": job.resources,
        "retentionSeconds": job.retention_seconds,
        "retry": _catalog_retry(job),
        "tags": job.tags,
        "timeoutSeconds": job.timeout_seconds,
    })

    # The presence of these matters, even if all of their fields have defaults.
    if job.declaration:
        entry["declaration"] = _catalog_declaration(job.declaration)
    if job.worker:
        entry["worker"] = _without_defaults({
            "maxMemoryBytes": job.worker.max_memory_bytes,
            "maxRequests": job.worker.max_requests,
        })
    return entry

def write_catalog(ctx, *, graph_label, jobs, lookup, resources, extensions):
    """Writes the job catalog of a graph.

    Args:
        ctx: Context of the rule of the graph, whose other attributes are written as they are.
        graph_label: Label of the graph, as text.
        jobs: DataBuildJobInfo of each job.
        lookup: Lookup program, as program_info returns it, or None.
        resources: Capacity of each named resource.
        extensions: Import paths of each extension, by its name.

    Returns:
        The file.
    """
    catalog = {
        "graphLabel": graph_label,
        "jobs": [_catalog_job(ctx, job) for job in jobs],
    } | _without_defaults({
        "besResultsUrl": ctx.attr.bes_results_url,
        "defaultPartitions": ctx.attr.default_partitions,
        "execProperties": ctx.attr.exec_properties,
        "executor": ctx.attr.executor,
        "exporters": ctx.attr.exporters,
        "extensions": {name: {"importPaths": paths} for name, paths in extensions.items()},
        "logStore": ctx.attr.log_store,
        "lookup": rlocation_path(ctx, lookup.executable) if lookup else "",
        "lookupEnvironment": lookup.environment if lookup else {},
        "maxPartitions": ctx.attr.max_partitions,
        "maxRunningJobs": ctx.attr.max_running_jobs,
        "notify": ctx.attr.notify,
        "notifyOn": ctx.attr.notify_on,
        "resources": resources,
    })
    file = ctx.actions.declare_file(ctx.label.name + ".catalog.json")
    ctx.actions.write(file, json.encode_indent(catalog, indent = "  ") + "\n")
    return file
