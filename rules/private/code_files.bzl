"""The action that lists the runfiles of a job, for executors that ship them."""

visibility(["//rules/..."])

def _short_path(file):
    return file.short_path

def _symlink_path(entry):
    return entry.path

def _root_symlink_path(entry):
    return "../" + entry.path

def write_code_files(ctx, program):
    """Declares the list of a program's runfiles and the action that writes it.

    databuild/executors/code_files.py reads it: the name of the main repository in the runfiles, then one path per line, relative to
    that repository.

    Args:
        ctx: Context of the rule.
        program: Program of the job, as program_info returns it.

    Returns:
        The file.
    """
    listed = ctx.actions.declare_file(ctx.label.name + ".code_files")
    lines = ctx.actions.args()
    lines.set_param_file_format("multiline")
    lines.add(ctx.workspace_name)
    runfiles = program.runfiles

    # Directories stay as they are: their files are known only when they exist.
    lines.add_all(runfiles.files, map_each = _short_path, expand_directories = False)
    lines.add_all(runfiles.symlinks, map_each = _symlink_path)
    lines.add_all(runfiles.root_symlinks, map_each = _root_symlink_path)
    lines.add_all(runfiles.empty_filenames)
    ctx.actions.write(listed, lines)
    return listed
