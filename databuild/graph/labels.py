"""Stable form of Bazel labels, which is stored and compared; it is the same in all versions of Bazel.

    //package:name         main repository; also written @//package:name and @@//package:name
    @module//package:name  repository of a module; its canonical name is module~, module~1.2 or module+
    @repo//package:name    repository of an extension; its canonical name is module~~extension~repo or
                           module++extension+repo

rules/private/labels.bzl writes the same form into the job catalog.
"""

from __future__ import annotations


def stable_label(text: str) -> str:
    """Returns the stable form of an absolute label. Any other text is returned unchanged."""
    if text.startswith("@") and "//" not in text:
        text += "//:" + text.lstrip("@")  # @module stands for @module//:module
    repository, slashes, rest = text.partition("//")
    if not slashes or (repository and not repository.startswith("@")):
        return text
    package, colon, name = rest.partition(":")
    name = name if colon else package.rpartition("/")[2]
    repository = stable_repository(repository.lstrip("@"))
    return f"@{repository}//{package}:{name}" if repository else f"//{package}:{name}"


def stable_repository(canonical: str) -> str:
    """Returns the stable name of a repository; empty for the main repository.

    Bazel separates the parts of a canonical name by `~` up to version 7, and by `+` from version 8 on.
    """
    parts = canonical.split("+" if "+" in canonical else "~")
    return parts[-1] if len(parts) > 2 else parts[0]
