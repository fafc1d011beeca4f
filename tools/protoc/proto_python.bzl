"""Python code of protocol buffers, generated without a C++ compile: protoc comes from PyPI's grpcio-tools."""

visibility(["//databuild/v1"])

_DOC = """\
Generates modules, type stubs and a descriptor set from `.proto` files.

The modules land in the package of this target, which has to be where the files' import path says: `databuild/v1/x.proto`
becomes `databuild.v1.x_pb2` in the package `databuild/v1`. They are this target's files, to be used as `srcs` of a `py_library`.
The modules of services, which need gRPC, are its output group `grpc`, and the type stubs its output group `pyi`.

```starlark
proto_python(
    name = "protos",
    srcs = ["//proto:databuild/v1/job.proto", "//proto:databuild/v1/service.proto"],
    descriptor_set = "databuild_v1.binpb",
    import_root = "proto",
    services = ["//proto:databuild/v1/service.proto"],
)
```
"""

_ATTRS = {
    "descriptor_set": attr.output(
        doc = "Where to write the `FileDescriptorSet` of the sources, comments included.",
        mandatory = True,
    ),
    "import_root": attr.string(
        doc = "The folder of the workspace that imports in the sources are relative to.",
        mandatory = True,
    ),
    "services": attr.label_list(
        doc = "Those of the sources that declare a service, and get a `_pb2_grpc` module.",
        allow_files = [".proto"],
    ),
    "srcs": attr.label_list(
        doc = "All sources. What they import has to be among them, or a well-known type.",
        allow_files = [".proto"],
        mandatory = True,
    ),
    "_protoc": attr.label(
        default = "//tools/protoc",
        cfg = "exec",
        executable = True,
    ),
}

def _declare(ctx, src, suffix):
    """The output beside this target for a source, which has to be imported from this package."""
    import_path = src.short_path.partition(ctx.attr.import_root + "/")[2]
    package, _, file_name = import_path.rpartition("/")
    if package != ctx.label.package:
        fail("{} generates into its own package, but {} belongs to the package {}".format(ctx.label, src.short_path, package))
    return ctx.actions.declare_file(file_name.removesuffix(".proto") + suffix)

def _run_protoc(ctx, srcs, outputs, arguments, progress_message):
    args = ctx.actions.args()
    args.add_all(arguments)
    args.add(ctx.files.srcs[0].path.partition(ctx.attr.import_root + "/")[0] + ctx.attr.import_root, format = "-I%s")
    args.add_all(srcs)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [args],
        inputs = ctx.files.srcs,
        outputs = outputs,
        mnemonic = "ProtocPython",
        progress_message = progress_message,
    )

def _proto_python_impl(ctx):
    modules = [_declare(ctx, src, "_pb2.py") for src in ctx.files.srcs]
    stubs = [_declare(ctx, src, "_pb2.pyi") for src in ctx.files.srcs]
    grpc_modules = [_declare(ctx, src, "_pb2_grpc.py") for src in ctx.files.services]
    out = modules[0].dirname.removesuffix("/" + ctx.label.package)

    _run_protoc(
        ctx,
        ctx.files.srcs,
        modules + stubs + [ctx.outputs.descriptor_set],
        ["--python_out=" + out, "--pyi_out=" + out, "--descriptor_set_out=" + ctx.outputs.descriptor_set.path, "--include_source_info"],
        "Generating the messages of %{label}",
    )
    if grpc_modules:
        _run_protoc(
            ctx,
            ctx.files.services,
            grpc_modules,
            ["--grpc_python_out=" + out],
            "Generating the services of %{label}",
        )
    return [
        DefaultInfo(files = depset(modules)),
        OutputGroupInfo(
            grpc = depset(grpc_modules),
            pyi = depset(stubs),
        ),
    ]

proto_python = rule(
    implementation = _proto_python_impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [OutputGroupInfo],
)
