"""Sends our plugins to the scheduler and the workers of Dask as source text.

They need nothing of ours installed, and may have another version of Python than this process. Names contain a hash of
the source text, so that clients of several versions can use one cluster.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from importlib.abc import InspectLoader
from typing import Any, Final

from distributed import SchedulerPlugin, WorkerPlugin

_SUPERVISOR: Final = (
    "databuild",
    "databuild.errors",
    "databuild.remedies",
    "databuild.tuples",
    "databuild.executors",
    "databuild.executors.capacity",
    "databuild.executors.cgroups",
    "databuild.executors.code_files",
    "databuild.executors.command_size",
    "databuild.executors.descriptor_limit",
    "databuild.executors.executor",
    "databuild.executors.fd_poller",
    "databuild.executors.interpreters",
    "databuild.executors.local",
    "databuild.executors.out_of_memory",
    "databuild.executors.output",
    "databuild.executors.process_end",
    "databuild.executors.process_group",
    "databuild.executors.report_file",
    "databuild.executors.running_process",
    "databuild.executors.spawning",
    "databuild.executors.start_faults",
    "databuild.executors.starter",
    "databuild.executors.uncancellable",
    "databuild.executors.watchdog",
    "databuild.executors.dask",
    "databuild.executors.dask.code_tree",
    "databuild.executors.dask.supervisor",
)
"""The modules that the supervisor imports."""

_EXPRESSION: Final = "(exec(install), create())[1]"
_INSTALL: Final = """
import sys, types
for name, source in modules.items():
    if name not in sys.modules:
        module = sys.modules[name] = types.ModuleType(name)
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
def create():
    return getattr(sys.modules[owner], class_name)(*arguments)
"""


class Shipment:
    """Our plugins and the function of our tasks, as they are sent.

    Attributes:
        name: The name of the plugins, the topic of their messages and the prefix of their handlers.
    """

    def __init__(self) -> None:
        modules = dict(map(_source, _SUPERVISOR))
        (_, registry), (_, agent) = (_source(f"{__package__}.{name}") for name in ("run_registry", "agent"))
        hashed = hashlib.sha256("\0".join((registry, agent, *modules.values())).encode())
        self.name: Final = f"databuild_{hashed.hexdigest()[:12]}"
        self._registry = f"{self.name}_registry"
        self._agent = f"{self.name}_agent"
        self._sources = {self._registry: registry, self._agent: agent}
        self._modules = modules

    def registry(self) -> SchedulerPlugin:
        """Returns the plugin for the scheduler, which also gets the module of the function, to forward it."""
        return _ShippedRegistry(self.name, self._registry, "RunRegistry", self._sources, (self.name,))

    def agent(self) -> WorkerPlugin:
        """Returns the plugin for workers."""
        sources = {self._agent: self._sources[self._agent]}
        return _ShippedAgent(self.name, self._agent, "Agent", sources, (self.name, self._modules))

    def function(self) -> Callable[..., Any]:
        """Returns the function of tasks."""
        return _ShippedFunction(self._agent, "run")


def _source(module: str) -> tuple[str, str]:
    """Returns the path of a module in an import path, and its source text."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    path = module.replace(".", "/")
    name = f"{path}.py" if spec.submodule_search_locations is None else f"{path}/__init__.py"
    assert isinstance(spec.loader, InspectLoader)
    return name, spec.loader.get_source(module) or ""


class _Shipped:
    """An object that becomes an instance of a class of the modules that it brings along, where it is unpickled."""

    idempotent = True

    def __init__(
        self, name: str, owner: str, class_name: str, modules: Mapping[str, str], arguments: tuple[Any, ...]
    ) -> None:
        self.name = name
        self._globals = {
            "install": _INSTALL,
            "owner": owner,
            "class_name": class_name,
            "modules": modules,
            "arguments": arguments,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (_EXPRESSION, self._globals)


class _ShippedRegistry(_Shipped, SchedulerPlugin):
    pass


class _ShippedAgent(_Shipped, WorkerPlugin):
    pass


class _ShippedFunction:
    """A function of a module that was brought along by a plugin. It cannot be called here."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *_: Any) -> Any:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"__import__('sys').modules[{self._module!r}].{self._name}", {})
