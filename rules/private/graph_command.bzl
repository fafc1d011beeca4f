"""The rule of a graph's further targets: the same launcher, with a command put first."""

load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher_info")
load(":providers.bzl", "DataBuildGraphInfo")

visibility(["//rules/..."])

_DOC = "Writes a launcher that runs one command of a graph."

_ATTRS = {
    "command": attr.string(
        doc = "The command.",
        mandatory = True,
    ),
    "graph": attr.label(
        doc = "The graph.",
        mandatory = True,
        providers = [DataBuildGraphInfo],
    ),
} | LAUNCHER_ATTRS

def _databuild_command_impl(ctx):
    return [launcher_info(ctx, ctx.attr.graph[DataBuildGraphInfo], [ctx.attr.command])]

databuild_command = rule(
    implementation = _databuild_command_impl,
    attrs = _ATTRS,
    doc = _DOC,
    executable = True,
)
