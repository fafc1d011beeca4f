"""How labels and files are named where Bazel has already gone: in the job catalog and in the launcher."""

visibility(["//rules/..."])

def label_text(label):
    """A label as a user writes it: without `@@` in the main repository."""
    text = str(label)
    return text.lstrip("@") if text.startswith("@@//") or text.startswith("@//") else text

def rlocation_path(ctx, file):
    """The path of a file relative to the runfiles root."""
    if file.short_path.startswith("../"):
        return file.short_path.removeprefix("../")
    return ctx.workspace_name + "/" + file.short_path
