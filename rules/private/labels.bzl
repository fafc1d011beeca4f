"""How labels and files are named where Bazel has already gone: in the job catalog and in the launcher."""

visibility(["//rules/...", "//tests/rules/..."])

def label_text(label):
    """A label in a form that is the same in all versions of Bazel: `//package:name` or `@repository//package:name`.

    databuild/graph/labels.py says more, and does the same for labels that people and programs write.
    """
    repository = stable_repository(label.repo_name)
    return "{}//{}:{}".format("@" + repository if repository else "", label.package, label.name)

def stable_repository(canonical):
    """The name of a module, or of a repository that an extension made, without versions and separators.

    Args:
        canonical: A canonical repository name, such as `module~`, `module~1.2`, `module+` or `module++extension+repository`.

    Returns:
        The name; empty for the main repository.
    """
    parts = canonical.split("+" if "+" in canonical else "~")
    return parts[-1] if len(parts) > 2 else parts[0]

def rlocation_path(ctx, file):
    """The path of a file relative to the runfiles root."""
    if file.short_path.startswith("../"):
        return file.short_path.removeprefix("../")
    return ctx.workspace_name + "/" + file.short_path
