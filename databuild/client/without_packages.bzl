"""A Python library less the packages from PyPI that it depends on."""

load("@rules_python//python:py_info.bzl", "PyInfo")

visibility(["//databuild/client"])

_DOC = """\
Passes on a library with everything that it imports, except what comes from the hub `databuild_pypi`.

Whoever depends on it brings these packages, in versions of their own.

```starlark
without_packages(
    name = "without_packages",
    library = ":client",
)
```
"""

_ATTRS = {
    "library": attr.label(
        doc = "The library.",
        mandatory = True,
        providers = [PyInfo],
    ),
}

# In the names of the repositories of the hub's packages, whatever precedes and follows it.
_HUB = "databuild_pypi"

def _is_ours(file):
    return _HUB not in file.owner.workspace_name

def _without_packages_impl(ctx):
    library = ctx.attr.library
    sources = [file for file in library[PyInfo].transitive_sources.to_list() if _is_ours(file)]
    files = [file for file in library[DefaultInfo].default_runfiles.files.to_list() if _is_ours(file)]
    return [
        DefaultInfo(runfiles = ctx.runfiles(files = files)),
        PyInfo(
            imports = depset([path for path in library[PyInfo].imports.to_list() if _HUB not in path]),
            transitive_sources = depset(sources),
        ),
    ]

without_packages = rule(
    implementation = _without_packages_impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [PyInfo],
)
