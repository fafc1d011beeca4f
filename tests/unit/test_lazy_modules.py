"""Modules that are loaded on their first use."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from databuild.lazy_modules import load_on_first_use

COUNTING = """
import sys
loads = getattr(sys, "lazy_loads", 0) + 1
sys.lazy_loads = loads
VALUE = 42
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path. Its modules are removed after the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "lazy_loads", 0, raising=False)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def loads() -> int:
    count: int = vars(sys)["lazy_loads"]
    return count


def imported(name: str) -> Any:
    __import__(name)
    return sys.modules[name]


def test_an_import_loads_nothing_and_a_use_loads_the_module_once(folder: Path) -> None:
    (folder / "lazy_one.py").write_text(COUNTING)
    load_on_first_use("lazy_one")

    module = imported("lazy_one")
    before = loads()

    assert (before, module.VALUE, module.loads, loads()) == (0, 42, 1, 1)
    assert (type(module), imported("lazy_one")) == (ModuleType, module)
    assert (module.__name__, module.__file__, module.__package__) == ("lazy_one", str(folder / "lazy_one.py"), "")


def test_a_module_of_a_package_does_not_import_the_package(folder: Path) -> None:
    (folder / "lazy_package").mkdir()
    (folder / "lazy_package/__init__.py").write_text("from lazy_package import inner")
    (folder / "lazy_package/inner.py").write_text(COUNTING + "import lazy_package")

    load_on_first_use("lazy_package.inner")
    assert "lazy_package" not in sys.modules
    package = imported("lazy_package")

    assert loads() == 0
    assert package.inner.VALUE == 42
    assert package.inner.__package__ == "lazy_package"


def test_a_package_has_its_modules_after_its_first_use(folder: Path) -> None:
    (folder / "lazy_parent").mkdir()
    (folder / "lazy_parent/__init__.py").write_text("from lazy_parent.child import VALUE\nfrom . import child")
    (folder / "lazy_parent/child.py").write_text(COUNTING)
    load_on_first_use("lazy_parent")
    package = imported("lazy_parent")
    before = loads()

    assert (before, package.VALUE, loads()) == (0, 42, 1)
    assert imported("lazy_parent.child") is package.child


def test_a_module_that_exists_already_or_not_at_all_is_left_alone() -> None:
    before = dict(sys.modules)

    for name in ("threading", "lazy_absent", "lazy_absent.inner", "sys.absent"):
        load_on_first_use(name)

    assert sys.modules == before


def test_a_module_may_use_itself_while_it_is_loaded(folder: Path) -> None:
    (folder / "lazy_self.py").write_text("VALUE = 1\nimport lazy_self\nTWICE = 2 * lazy_self.VALUE\n")
    load_on_first_use("lazy_self")

    assert imported("lazy_self").TWICE == 2


def test_a_module_that_fails_is_loaded_again_by_the_next_use(folder: Path) -> None:
    (folder / "lazy_failing.py").write_text(COUNTING + "if loads == 1: raise ValueError('not yet')")
    load_on_first_use("lazy_failing")
    module = imported("lazy_failing")

    with pytest.raises(ValueError, match="not yet"):
        _ = module.VALUE
    assert (module.VALUE, loads()) == (42, 2)


def test_a_missing_attribute_is_an_ordinary_error(folder: Path) -> None:
    (folder / "lazy_small.py").write_text("")
    load_on_first_use("lazy_small")

    with pytest.raises(AttributeError, match="module 'lazy_small' has no attribute 'absent'"):
        _ = imported("lazy_small").absent


def test_other_threads_wait_until_a_module_is_complete(folder: Path) -> None:
    begun, may_end = threading.Event(), threading.Event()
    vars(sys)["lazy_events"] = (begun, may_end)
    (folder / "lazy_slow.py").write_text(
        "import sys\nbegun, may_end = sys.lazy_events\nbegun.set()\nmay_end.wait(60)\nVALUE = 7\n"
    )
    load_on_first_use("lazy_slow")
    module = imported("lazy_slow")
    values: list[int] = []
    threads = [threading.Thread(target=lambda: values.append(module.VALUE)) for _ in range(4)]
    threads[0].start()
    assert begun.wait(60)
    for thread in threads[1:]:
        thread.start()

    may_end.set()
    for thread in threads:
        thread.join()

    assert values == [7] * 4
    del vars(sys)["lazy_events"]
