"""The launcher: a shell script that is replaced by the command line at once."""

load("@bazel_skylib//lib:shell.bzl", "shell")
load(":labels.bzl", "label_text", "rlocation_path")

visibility(["//rules/..."])

# For rules that write a launcher.
LAUNCHER_ATTRS = {
    "_launcher": attr.label(
        allow_single_file = True,
        default = "//rules/private:launcher.sh.tpl",
    ),
}

def write_launcher(ctx, graph, arguments = [], neighbour = ""):
    """Writes the launcher of a target.

    Args:
        ctx: The context of the rule, which has LAUNCHER_ATTRS.
        graph: The DataBuildGraphInfo of the graph to work on.
        arguments: What to put before the user's own arguments.
        neighbour: The name of the file beside the launcher whose runfiles it uses, unless it has what it needs itself.

    Returns:
        The file.
    """
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.expand_template(
        template = ctx.file._launcher,
        output = launcher,
        is_executable = True,
        substitutions = {
            "%arguments%": "".join([shell.quote(argument) + " " for argument in arguments]),
            "%catalog%": rlocation_path(ctx, graph.catalog),
            "%cli%": rlocation_path(ctx, graph.cli),
            "%graph%": graph.label,
            "%neighbour%": shell.quote(neighbour or ctx.label.name),
            "%target%": label_text(ctx.label),
        },
    )
    return launcher

def launcher_info(ctx, graph, arguments = []):
    """Writes the launcher of a target that has all runfiles of the graph.

    Args:
        ctx: The context of the rule, which has LAUNCHER_ATTRS.
        graph: The DataBuildGraphInfo of the graph to work on.
        arguments: What to put before the user's own arguments.

    Returns:
        The DefaultInfo of the target.
    """
    launcher = write_launcher(ctx, graph, arguments)
    return DefaultInfo(
        executable = launcher,
        files = depset([launcher, graph.catalog]),
        runfiles = graph.runfiles,
    )
