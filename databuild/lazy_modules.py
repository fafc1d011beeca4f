"""Modules of other packages that are loaded when something uses them first, if ever.

Large packages import modules that only few of their users need. Unlike `importlib.util.LazyLoader`, an `import`
statement does not load a module yet, and several threads may use it first at the same time.
"""

from __future__ import annotations

import sys
import threading
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

_lock: Final = threading.RLock()
_loading: Final[set[str]] = set()


class _LazyModule(ModuleType):
    """A module that loads itself when one of its attributes is used."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        ModuleType.__setattr__(self, "__spec__", spec)

    def __getattribute__(self, name: str) -> Any:
        if name != "__spec__":  # which each `import` statement reads
            _load(self)
        return ModuleType.__getattribute__(self, name)


def load_on_first_use(name: str) -> None:
    """Defers the loading of a module. It does nothing if the module was imported already, or does not exist.

    Args:
        name: The name of the module. Its package is not imported.
    """
    if name in sys.modules:
        return
    spec = _find(name)
    if spec is None or spec.loader is None:
        return
    sys.modules[name] = _LazyModule(spec)


def _find(name: str) -> ModuleSpec | None:
    folders = None
    package, _, _ = name.rpartition(".")
    if package:
        found = _find(package)
        if found is None:
            return None
        folders = found.submodule_search_locations
    return PathFinder.find_spec(name, folders)


def _load(module: ModuleType) -> None:
    with _lock:
        spec = ModuleType.__getattribute__(module, "__spec__")
        if type(module) is not _LazyModule or spec.name in _loading:
            return  # loaded by another thread, or used by itself while it is loaded
        _loading.add(spec.name)
        try:
            for name, value in (("__file__", spec.origin), ("__loader__", spec.loader), ("__package__", spec.parent)):
                ModuleType.__setattr__(module, name, value)
            if spec.submodule_search_locations is not None:  # a package
                ModuleType.__setattr__(module, "__path__", spec.submodule_search_locations)
            spec.loader.exec_module(module)
            ModuleType.__setattr__(module, "__class__", ModuleType)
        finally:
            _loading.discard(spec.name)
