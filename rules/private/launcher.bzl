"""The launcher of a graph: a shell script that execs the command line."""

load("@bazel_skylib//lib:shell.bzl", "shell")
load(":labels.bzl", "label_text", "rlocation_path")

visibility(["//rules/..."])

# Attributes of rules that write a launcher.
LAUNCHER_ATTRS = {
    "_launcher": attr.label(
        allow_single_file = True,
        default = "//rules/private:launcher.sh.tpl",
    ),
}

def write_launcher(ctx, graph, arguments = [], neighbour = ""):
    """Writes the launcher of a target.

    Args:
        ctx: Context of the rule, which has LAUNCHER_ATTRS.
        graph: DataBuildGraphInfo of the graph.
        arguments: Arguments to put before those of the user.
        neighbour: Name of the executable in the same directory whose runfiles tree the launcher uses if it has none.

    Returns:
        The launcher.
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
    """Writes the launcher of a target with all runfiles of the graph.

    Args:
        ctx: Context of the rule, which has LAUNCHER_ATTRS.
        graph: DataBuildGraphInfo of the graph.
        arguments: Arguments to put before those of the user.

    Returns:
        The DefaultInfo of the target.
    """
    launcher = write_launcher(ctx, graph, arguments)
    return DefaultInfo(
        executable = launcher,
        files = depset([launcher, graph.catalog]),
        runfiles = graph.runfiles,
    )
