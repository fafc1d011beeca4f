"""The action that computes the code digest of a job."""

load(":labels.bzl", "label_text")

visibility(["//rules/..."])

def _origin(file):
    return "source" if file.is_source else "generated"

def _file_arguments(file):
    return [file.short_path, file.path, _origin(file)]

def _symlink_arguments(entry):
    return [entry.path, entry.target_file.path, _origin(entry.target_file)]

def _root_symlink_arguments(entry):
    return ["../" + entry.path, entry.target_file.path, _origin(entry.target_file)]

def _empty_file_arguments(path):
    return [path, "", "empty"]

def write_code_digest(ctx, tool, program):
    """Declares the file of a code digest and the action that writes it.

    Args:
        ctx: Context of the rule.
        tool: Executable of code_digest.py.
        program: Program of the job, as program_info returns it.

    Returns:
        The file with the digest.
    """
    digest = ctx.actions.declare_file(ctx.label.name + ".code_digest")
    description = {
        "environment": program.environment,
        "executable": program.executable.path,
        "label": label_text(ctx.label),
        "package": program.label.package,
        "repository": program.label.repo_name,
        "workspace": ctx.workspace_name,
    }
    args = ctx.actions.args()
    args.set_param_file_format("multiline")
    args.use_param_file("%s", use_always = True)

    # Three lines per file: its path in the runfiles, relative to the workspace, its path in the action, and its origin.
    runfiles = program.runfiles
    args.add_all(runfiles.files, map_each = _file_arguments)
    args.add_all(runfiles.symlinks, map_each = _symlink_arguments)
    args.add_all(runfiles.root_symlinks, map_each = _root_symlink_arguments)
    args.add_all(runfiles.empty_filenames, map_each = _empty_file_arguments)

    inputs = depset(transitive = [
        runfiles.files,
        depset([entry.target_file for entry in runfiles.symlinks.to_list() + runfiles.root_symlinks.to_list()]),
    ])
    ctx.actions.run(
        executable = tool,
        arguments = [digest.path, json.encode(description), args],
        inputs = inputs,
        outputs = [digest],
        mnemonic = "DataBuildCodeDigest",
        progress_message = "Hashing the code of %{label}",
    )
    return digest
