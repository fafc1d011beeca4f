"""The messages of DataBuild, generated from proto/databuild/v1."""

import importlib.util
import sys


def _load_on_first_use(name: str) -> None:
    """Lets a module of protobuf be loaded when one of its attributes is used first, if ever."""
    package, _, attribute = name.rpartition(".")
    spec = importlib.util.find_spec(name)  # imports the package
    if name in sys.modules or spec is None or spec.loader is None:
        return
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[name] = module
    setattr(sys.modules[package], attribute, module)  # otherwise, `from package import` would use an attribute


# The implementation of messages in Python, with formats as text, which only installations without a compiled one use.
# `google.protobuf.descriptor_pool` imports it in any case, and it takes half of the time of the messages.
_load_on_first_use("google.protobuf.internal.python_message")
