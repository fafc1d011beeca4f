"""The rule `proto_python`: Python code of protocol buffers. protoc comes from grpcio-tools, so no C++ is compiled."""

visibility(["//databuild/executors/reapi", "//databuild/exporters/bes", "//databuild/v1"])

_DOC = """\
Generates modules, type stubs and a descriptor set from `.proto` files.

The package of the target must match the import path of the files: `databuild/v1/x.proto` becomes `databuild.v1.x_pb2` in the package
`databuild/v1`. The modules are the default outputs, for `srcs` of a `py_library`. Modules of services, which need gRPC, are in the output
group `grpc`; type stubs are in the output group `pyi`.

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
        doc = "Output file with the `FileDescriptorSet` of the sources, including comments.",
        mandatory = True,
    ),
    "import_root": attr.string(
        doc = "Directory of the workspace to which imports in the sources are relative.",
        mandatory = True,
    ),
    "services": attr.label_list(
        doc = "Sources with a service, for which a `_pb2_grpc` module is generated.",
        allow_files = [".proto"],
    ),
    "srcs": attr.label_list(
        doc = "All sources. Their imports must be among them, or well-known types.",
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
    """Declares the output for a source. Fails if its import path is not in the package of the target."""
    import_path = src.short_path.partition(ctx.attr.import_root + "/")[2]
    package, _, file_name = import_path.rpartition("/")
    if package != ctx.label.package:
        fail("{} can generate only into its own package, but {} belongs to the package {}".format(ctx.label, src.short_path, package))
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
