"""The test of a graph."""

load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher_info")
load(":providers.bzl", "DataBuildGraphInfo")

visibility(["//rules/..."])

_DOC = """\
Tests that a graph is sound, without building anything.

No two patterns overlap; each of the graph's default partitions has a job that produces it; for each sample, everything that it is built from has a job that produces it; nothing is built from
itself; and a job that is configured twice gives the same answer.

```starlark
databuild_graph_test(
    name = "build_graph_test",
    size = "small",
    graph = ":build_graph",
    samples = ["daily_flights/date=2013-01-01"],
)
```
"""

_ATTRS = {
    "graph": attr.label(
        doc = "The graph.",
        mandatory = True,
        providers = [DataBuildGraphInfo],
    ),
    "samples": attr.string_list(
        doc = "Refs to configure, with all that they are built from. Without any, only the patterns and the default partitions are tested.",
    ),
} | LAUNCHER_ATTRS

def _databuild_graph_test_impl(ctx):
    return [launcher_info(ctx, ctx.attr.graph[DataBuildGraphInfo], ["check"] + ctx.attr.samples)]

databuild_graph_test = rule(
    implementation = _databuild_graph_test_impl,
    attrs = _ATTRS,
    doc = _DOC,
    test = True,
)
