"""Extensions: parts of DataBuild that only graphs have that name them, such as the executors of engines."""

load("@rules_python//python:py_info.bzl", "PyInfo")

visibility(["//rules/..."])

# The extension that serves each scheme of an executor; databuild/model/executor_uri.py has the same.
_EXECUTOR_OF_SCHEME = {
    "dask": "dask",
    "dask+tls": "dask",
    "reapi": "reapi",
    "reapis": "reapi",
}

# The extension that serves each scheme of files; databuild/storage/storage_uri.py has the same.
_STORAGE_OF_SCHEME = {
    "abfs": "abfs",
    "az": "abfs",
    "gs": "gs",
    "s3": "s3",
}

# The extension that serves each scheme of exporters; databuild/exporters/registry.py has the same.
_EXPORTER_OF_SCHEME = {
    "bes": "bes",
    "openlineage": "openlineage",
    "otlp": "otlp",
}

# The form of the address after the scheme, for exporters whose address is not in the environment.
_EXPORTER_ADDRESSES = {
    "bes": "grpc://HOST:PORT",
}

_EXPORTERS = {
    "bes": Label("//databuild/exporters/bes:extension"),
    "openlineage": Label("//databuild/exporters/openlineage:extension"),
    "otlp": Label("//databuild/exporters/otlp:extension"),
}

_EXECUTORS = {
    "dask": Label("//databuild/executors/dask:extension"),
    "reapi": Label("//databuild/executors/reapi:extension"),
}

_STORAGE = {
    "abfs": Label("//databuild/storage:abfs"),
    "gs": Label("//databuild/storage:gs"),
    "s3": Label("//databuild/storage:s3"),
}

# DuckDB, for previews of tables; databuild/previews/process.py has the same name.
_PREVIEWS = Label("//databuild/previews:duckdb")

def extension_targets(executor, executors, log_store, storage, previews, exporters):
    """Returns the extensions that a graph needs, as a dict from target to name. Ignores what check_extensions refuses.

    Args:
        executor: Address of the engine, `local` or empty.
        executors: Names of extensions.
        log_store: Place of job logs, or empty.
        storage: Names of extensions.
        previews: True for previews of tables.
        exporters: URIs of exporters.

    Returns:
        The dict.
    """
    executors = executors + [_EXECUTOR_OF_SCHEME.get(executor.partition("://")[0], "")]
    storage = storage + [_STORAGE_OF_SCHEME.get(log_store.partition("://")[0], "")]
    names = [_EXPORTER_OF_SCHEME.get(uri.partition(":")[0], "") for uri in exporters]
    targets = {_EXECUTORS[name]: name for name in executors if name in _EXECUTORS}
    targets = targets | {_STORAGE[name]: name for name in storage if name in _STORAGE}
    targets = targets | {_EXPORTERS[name]: name for name in names if name in _EXPORTERS}
    return targets | ({_PREVIEWS: "duckdb"} if previews else {})

def check_extensions(label, executor, executors, log_store, storage, exporters, bes_results_url):
    """Fails if an extension does not exist, or if an address has none.

    Args:
        label: Label of the graph, for messages.
        executor: Address of the engine, `local` or empty.
        executors: Names of extensions.
        log_store: Place of job logs, or empty.
        storage: Names of extensions.
        exporters: URIs of exporters.
        bes_results_url: URL of the pages of a Build Event Service, or empty.
    """
    _check_names(label, "executors", executors, _EXECUTORS)
    _check_names(label, "storage", storage, _STORAGE)
    if executor not in ["", "local"]:
        _check_scheme(label, "executor", executor, "`local`", _EXECUTOR_OF_SCHEME)
    if log_store and not log_store.startswith("/") and not log_store.startswith("file:///"):
        _check_scheme(label, "log_store", log_store, "an absolute path", _STORAGE_OF_SCHEME)

    for uri in exporters:
        scheme, _, address = uri.partition(":")
        if ":" not in uri or bool(address) != (scheme in _EXPORTER_ADDRESSES) or scheme not in _EXPORTER_OF_SCHEME:
            fail("exporters of {} has {}; there is {}".format(
                label,
                repr(uri),
                " and ".join([name + ":" + _EXPORTER_ADDRESSES.get(name, "") for name in _EXPORTER_OF_SCHEME]),
            ))

    if bes_results_url and not [uri for uri in exporters if uri.startswith("bes:")]:
        fail("{} has bes_results_url without an exporter bes:grpc://HOST:PORT".format(label))
    if bes_results_url and not bes_results_url.startswith("http://") and not bes_results_url.startswith("https://"):
        fail("bes_results_url of {} is {}; it must begin with http:// or https://".format(label, repr(bes_results_url)))

def _check_names(label, attribute, names, known):
    for name in names:
        if name not in known:
            fail("{} of {} has {}; there is {}".format(attribute, label, repr(name), " and ".join(known)))

def _check_scheme(label, attribute, uri, alternative, known):
    scheme, _, rest = uri.partition("://")
    if scheme not in known or not rest:
        fail("{} of {} is {}; it must be {} or begin with {}".format(
            attribute,
            label,
            repr(uri),
            alternative,
            ", ".join([scheme + "://" for scheme in known]),
        ))

def extension_info(targets):
    """Reads the extensions of a graph.

    Args:
        targets: Attribute of the rule: a dict from target to name.

    Returns:
        A struct with `import_paths` (by name, relative to the runfiles root) and `runfiles` (a list).
    """
    return struct(
        import_paths = {name: target[PyInfo].imports.to_list() for target, name in targets.items()},
        runfiles = [target[DefaultInfo].default_runfiles for target in targets],
    )
