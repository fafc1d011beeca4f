"""A program whose runfiles have links, for tests."""

visibility(["//tests/rules/..."])

def _linked_program_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(program, "#!/bin/sh\n", is_executable = True)
    return [DefaultInfo(
        executable = program,
        runfiles = ctx.runfiles(
            root_symlinks = {name: ctx.file.linked for name in ctx.attr.root_links},
            symlinks = {name: ctx.file.linked for name in ctx.attr.links},
        ),
    )]

linked_program = rule(
    implementation = _linked_program_impl,
    attrs = {
        "linked": attr.label(
            allow_single_file = True,
            doc = "What the links point at.",
        ),
        "links": attr.string_list(doc = "Links in the workspace."),
        "root_links": attr.string_list(doc = "Links beside the workspace."),
    },
    doc = "Writes the same program whatever its links are.",
    executable = True,
)
