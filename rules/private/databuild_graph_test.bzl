"""The rule `databuild_graph_test`."""

load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher_info")
load(":providers.bzl", "DataBuildGraphInfo")

visibility(["//rules/..."])

_DOC = """\
Tests that a graph is valid, without building anything:

- No two partition patterns overlap.
- A job produces each default partition of the graph.
- For all partitions of declared jobs, a job produces each input, and no partition depends on itself. The test proves
  this from patterns, expressions and bounds, and fails with a counter-example.
- For each sample, a job produces each of its upstream partitions, and none depends on itself. Jobs with `config` need
  samples.
- `config` of a job returns the same result when it is called twice.

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
        doc = "Graph to test.",
        mandatory = True,
        providers = [DataBuildGraphInfo],
    ),
    "samples": attr.string_list(
        doc = "Refs to plan, with their upstream partitions. They test jobs with `config`. Declared jobs need none.",
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
