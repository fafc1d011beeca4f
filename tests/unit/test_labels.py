"""The stable form of labels."""

import pytest

from databuild.graph.labels import stable_label


@pytest.mark.parametrize(
    ("label", "stable"),
    [
        ("//a:b", "//a:b"),
        ("//a/b", "//a/b:b"),
        ("@//a:b", "//a:b"),
        ("@@//a:b", "//a:b"),
        ("@acme_data//jobs:hello", "@acme_data//jobs:hello"),
        ("@acme_data", "@acme_data//:acme_data"),
        ("@@acme_data~//jobs:hello", "@acme_data//jobs:hello"),
        ("@@acme_data~1.2.3//jobs:hello", "@acme_data//jobs:hello"),
        ("@@acme_data~override//jobs:hello", "@acme_data//jobs:hello"),
        ("@@acme_data+//jobs", "@acme_data//jobs:jobs"),
        ("@@rules~~ext~repo//:x", "@repo//:x"),
        ("@@rules~1.2~ext~repo//:x", "@repo//:x"),
        ("@@rules++ext+repo//:x", "@repo//:x"),
        ("@@_main~ext~repo//:x", "@repo//:x"),
        ("@@+ext+repo//:x", "@repo//:x"),
        ("@@bazel_tools//a:b", "@bazel_tools//a:b"),
    ],
)
def test_a_label_has_one_form_in_all_versions_of_bazel(label: str, stable: str) -> None:
    assert stable_label(label) == stable
    assert stable_label(stable) == stable


@pytest.mark.parametrize("text", ["", "a", ":a", "a:b", "acme//a:b"])
def test_a_label_that_is_not_absolute_stays_as_it_is(text: str) -> None:
    assert stable_label(text) == text
