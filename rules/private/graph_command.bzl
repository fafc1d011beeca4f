"""The rule of a graph's further targets: the same launcher, with a command put first.

Their launchers use the runfiles of the graph's own target, since a tree of links to some thousand files for each would be three
times as much of the same.
"""

load(":launcher.bzl", "LAUNCHER_ATTRS", "write_launcher")
load(":providers.bzl", "DataBuildGraphInfo")

visibility(["//rules/..."])

_DOC = "Writes a launcher that runs one command of a graph."

_ATTRS = {
    "command": attr.string(
        doc = "The command.",
        mandatory = True,
    ),
    "graph": attr.label(
        doc = "The graph, in the same package.",
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

    # With --nobuild_runfile_links, Bazel makes a tree of runfiles only for the target that it runs.
    if not manifest or manifest.basename != "MANIFEST":
        return [DefaultInfo(executable = launcher, files = files, runfiles = graph.runfiles)]
    repo_mapping = getattr(program, "repo_mapping_manifest", None)

    # With a cache, Bazel leaves there what only further actions read. What an action reads that runs on this machine is fetched,
    # and an action that must not be cached runs.
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
        # What has this target as data gets all runfiles. The target itself has none.
        DefaultInfo(
            data_runfiles = ctx.runfiles(files = [launcher]).merge(graph.runfiles),
            default_runfiles = ctx.runfiles(),
            executable = launcher,
            files = files,
        ),
        # Built with the target itself. The manifest lies in the graph's tree of runfiles; the action that writes it makes the tree.
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
