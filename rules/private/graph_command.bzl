"""The rule of the additional targets of a graph, such as `build_graph.plan`: launchers that run one command.

Their launchers use the runfiles tree of the graph's own target. A separate tree for each target would triple the number of
symbolic links, which is several thousand for the command line alone.
"""

load(":launcher.bzl", "LAUNCHER_ATTRS", "write_launcher")
load(":providers.bzl", "DataBuildGraphInfo")

visibility(["//rules/..."])

_DOC = "Launcher for one command of a graph."

_ATTRS = {
    "command": attr.string(
        doc = "Command to run.",
        mandatory = True,
    ),
    "graph": attr.label(
        doc = "Graph, in the same package.",
        mandatory = True,
        providers = [DataBuildGraphInfo],
    ),
} | LAUNCHER_ATTRS

def _databuild_command_impl(ctx):
    graph = ctx.attr.graph[DataBuildGraphInfo]
    program = ctx.attr.graph[DefaultInfo].files_to_run
    launcher = write_launcher(ctx, graph, [ctx.attr.command], neighbour = program.executable.basename)
    files = depset([launcher, graph.catalog])
    manifest = program.runfiles_manifest

    # With --nobuild_runfile_links, Bazel creates a runfiles tree only for the target that it runs.
    if not manifest or manifest.basename != "MANIFEST":
        return [DefaultInfo(executable = launcher, files = files, runfiles = graph.runfiles)]
    repo_mapping = getattr(program, "repo_mapping_manifest", None)

    # With a remote cache, Bazel does not download files that only other actions read. An action that runs locally has its inputs
    # downloaded, and an action that must not be cached always runs.
    generated = [file for file in graph.runfiles.files.to_list() if not file.is_source]
    present = ctx.actions.declare_file(ctx.label.name + ".present")
    ctx.actions.run_shell(
        command = "echo >$1",
        arguments = [present.path],
        execution_requirements = {
            "no-cache": "1",
            "no-remote": "1",
        },
        inputs = generated,
        mnemonic = "DataBuildRunfiles",
        outputs = [present],
        progress_message = "Fetching the runfiles of %{label}",
    )
    return [
        # Targets with this one in `data` get all runfiles. The target itself needs none.
        DefaultInfo(
            data_runfiles = ctx.runfiles(files = [launcher]).merge(graph.runfiles),
            default_runfiles = ctx.runfiles(),
            executable = launcher,
            files = files,
        ),
        # Bazel builds this output group with the target. The action that writes the manifest creates the runfiles tree of the graph.
        OutputGroupInfo(_hidden_top_level_INTERNAL_ = depset(
            [program.executable, manifest, present] + ([repo_mapping] if repo_mapping else []),
        )),
    ]

databuild_command = rule(
    implementation = _databuild_command_impl,
    attrs = _ATTRS,
    doc = _DOC,
    executable = True,
)
