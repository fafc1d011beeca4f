"""Requirements on drawings: well-formed, without scripts and styles of their own, and accessible."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from tests.support.present import present

SVG = "{http://www.w3.org/2000/svg}"


def parse(text: str) -> ET.Element:
    """Returns the root of a drawing that meets all requirements."""
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == ("group" if root.findall(f".//{SVG}a") else "img")
    assert [child.tag for child in root[:2]] == [f"{SVG}title", f"{SVG}desc"]
    assert root[0].text == root.get("aria-label")
    for element in root.iter():
        assert element.tag != f"{SVG}script"
        assert element.get("style") is None
        assert not [name for name in element.keys() if name.startswith("on")]  # noqa: SIM118
    return root


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    """Returns the elements that have a class."""
    return [element for element in root.iter() if name in element.get("class", "").split()]


def titles(elements: Iterable[ET.Element]) -> list[str]:
    """Returns the texts of elements."""
    return [present(element.findtext(f"{SVG}title")) for element in elements]


def texts(root: ET.Element) -> list[str]:
    """Returns all visible texts."""
    return [present(element.text) for element in root.iter(f"{SVG}text")]
