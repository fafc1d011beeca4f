"""Labels and paths for use at run time, in the job catalog and in launchers."""

visibility(["//rules/...", "//tests/rules/..."])

def label_text(label):
    """Returns a label as `//package:name` or `@repository//package:name`, which is the same in all versions of Bazel.

    databuild/graph/labels.py does the same for labels that users and programs write.
    """
    repository = stable_repository(label.repo_name)
    return "{}//{}:{}".format("@" + repository if repository else "", label.package, label.name)

def stable_repository(canonical):
    """Returns the name of a module or of a repository of an extension, without versions and separators.

    Args:
        canonical: Canonical repository name, such as `module~`, `module~1.2`, `module+` or `module++extension+repository`.

    Returns:
        The name; empty for the main repository.
    """
    parts = canonical.split("+" if "+" in canonical else "~")
    return parts[-1] if len(parts) > 2 else parts[0]

def rlocation_path(ctx, file):
    """Returns the path of a file relative to the runfiles root."""
    if file.short_path.startswith("../"):
        return file.short_path.removeprefix("../")
    return ctx.workspace_name + "/" + file.short_path
