"""Tests of the renderer of the rules' documentation."""

from docs.render_rules import parse, render

_MODULE = r"""
func_info {
  function_name: "databuild_graph"
  parameter {
    name: "jobs"
    doc_string: "What\nit\'s made of: \"a|b\" \342\206\222 c."
    mandatory: true
  }
  parameter {
    name: "tags"
    default_value: "[]"
  }
  doc_string: "A graph."
}
rule_info {
  rule_name: "databuild_job"
  doc_string: "A job."
}
provider_info {
  provider_name: "Info"
  field_info {
    name: "label"
    doc_string: "string: a label."
  }
}
"""


def test_every_symbol_has_a_section_with_a_table() -> None:
    text = render([parse(iter(_MODULE.splitlines()))])

    assert '| `jobs` | What it\'s made of: "a\\|b" → c. | required |' in text
    assert "| `tags` |  | `[]` |" in text
    assert "| `label` | string: a label. |" in text


def test_sections_stand_in_the_order_of_their_use() -> None:
    text = render([parse(iter(_MODULE.splitlines()))])

    assert text.index("## databuild_job") < text.index("## databuild_graph") < text.index("## Info")


def test_sections_of_several_modules_stand_together() -> None:
    other = parse(iter(_MODULE.replace("databuild_job", "databuild_duckdb_job").splitlines()))

    text = render([other, parse(iter(_MODULE.splitlines()))])

    names = [line for line in text.splitlines() if line.startswith("## ")]
    assert names == ["## databuild_job", "## databuild_graph", "## databuild_duckdb_job", "## Info"]
