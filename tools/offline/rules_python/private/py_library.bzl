"""py_library with bytecode, like `precompile` of rules_python.

Without it, Python compiles every module in each sandbox, and at each start if PYTHONDONTWRITEBYTECODE is set.
"""

load("@host_python//:abi.bzl", "CACHE_TAG")

visibility(["//python"])

_DOC = """\
Python modules, with their bytecode in the runfiles.

```starlark
py_library(
    name = "errors",
    srcs = ["errors.py"],
)
```
"""

_ATTRS = {
    "data": attr.label_list(
        doc = "Files that the modules read or run.",
        allow_files = True,
    ),
    "deps": attr.label_list(
        doc = "Libraries that the modules import.",
        providers = [PyInfo],
    ),
    "imports": attr.string_list(
        doc = "Directories below this package to add to the import path, besides the root of the repository.",
    ),
    "pyi_srcs": attr.label_list(
        doc = "Type stubs. They are not in the runfiles.",
        allow_files = [".pyi"],
    ),
    "srcs": attr.label_list(
        doc = "Modules.",
        allow_files = [".py"],
    ),
    "_compile": attr.label(
        allow_single_file = True,
        default = "//private:compile_modules.py",
    ),
    "_interpreter": attr.label(
        allow_single_file = True,
        cfg = "exec",
        default = "@host_python//:bin/python3",
    ),
}

def _compile(ctx):
    """Declares and compiles the bytecode of the sources in this package."""
    here = "/".join([part for part in ["../" + ctx.label.workspace_name if ctx.label.workspace_name else "", ctx.label.package] if part])
    prefix = here + "/" if here else ""
    sources = [src for src in ctx.files.srcs if src.short_path.startswith(prefix) and src.owner.package == ctx.label.package]
    if not sources:
        return []
    args = ctx.actions.args()
    args.use_param_file("%s", use_always = True)
    args.set_param_file_format("multiline")
    outputs = []
    for src in sources:
        folder, _, name = src.short_path.removeprefix(prefix).rpartition("/")
        output = ctx.actions.declare_file("{}__pycache__/{}.{}.pyc".format(
            folder + "/" if folder else "",
            name.removesuffix(".py"),
            CACHE_TAG,
        ))
        outputs.append(output)
        args.add_all([src, output])
    ctx.actions.run(
        executable = ctx.file._interpreter,
        arguments = ["-I", "-S", ctx.file._compile.path, args],
        inputs = sources + [ctx.file._compile],
        outputs = outputs,
        mnemonic = "PyCompile",
        progress_message = "Compiling the modules of %{label}",
    )
    return outputs

def _import_path(ctx, folder):
    """Returns the path in the runfiles of a directory below this package."""
    parts = [ctx.label.workspace_name or ctx.workspace_name]
    for part in (ctx.label.package + "/" + folder).split("/"):
        if part == "..":
            parts.pop()
        elif part not in ["", "."]:
            parts.append(part)
    if not parts:
        fail("the import path {} of {} is outside its repository".format(folder, ctx.label))
    return "/".join(parts)

def _py_library_impl(ctx):
    others = [dep[PyInfo] for dep in ctx.attr.deps]
    runfiles = ctx.runfiles(ctx.files.srcs + ctx.files.data + _compile(ctx)).merge_all([
        target[DefaultInfo].default_runfiles
        for target in ctx.attr.deps + ctx.attr.data
    ])
    return [
        DefaultInfo(
            files = depset(ctx.files.srcs),
            runfiles = runfiles,
        ),
        PyInfo(
            imports = depset(
                [_import_path(ctx, folder) for folder in ctx.attr.imports],
                transitive = [other.imports for other in others],
            ),
            transitive_sources = depset(
                ctx.files.srcs,
                order = "postorder",
                transitive = [other.transitive_sources for other in others],
            ),
        ),
        coverage_common.instrumented_files_info(ctx, source_attributes = ["srcs"], dependency_attributes = ["deps", "data"]),
    ]

py_library = rule(
    implementation = _py_library_impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [PyInfo],
)
