"""Extensions: parts of DataBuild that only graphs have that name them, such as the executors of engines."""

load("@rules_python//python:py_info.bzl", "PyInfo")

visibility(["//rules/..."])

# The extension that serves each scheme; databuild/model/executor_uri.py has the same.
_EXTENSION_OF_SCHEME = {
    "dask": "dask",
    "dask+tls": "dask",
    "reapi": "reapi",
    "reapis": "reapi",
}

_TARGETS = {
    "dask": Label("//databuild/executors/dask:extension"),
    "reapi": Label("//databuild/executors/reapi:extension"),
}

def extension_targets(executor, executors):
    """Returns the extensions that a graph needs, as a dict from target to name. Ignores what check_executors refuses.

    Args:
        executor: Address of the engine, `local` or empty.
        executors: Names of extensions.

    Returns:
        The dict.
    """
    names = executors + [_EXTENSION_OF_SCHEME.get(executor.partition("://")[0], "")]
    return {_TARGETS[name]: name for name in names if name in _TARGETS}

def check_executors(label, executor, executors):
    """Fails if an extension does not exist, or if an address is not that of an executor.

    Args:
        label: Label of the graph, for messages.
        executor: Address of the engine, `local` or empty.
        executors: Names of extensions.
    """
    for name in executors:
        if name not in _TARGETS:
            fail("executors of {} has {}; there is {}".format(label, repr(name), " and ".join(_TARGETS)))
    scheme, _, rest = executor.partition("://")
    if executor not in ["", "local"] and (scheme not in _EXTENSION_OF_SCHEME or not rest):
        fail("executor of {} is {}; it must be `local` or begin with {}".format(
            label,
            repr(executor),
            ", ".join([known + "://" for known in _EXTENSION_OF_SCHEME]),
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
