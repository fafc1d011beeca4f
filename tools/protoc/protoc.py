"""Runs `python -m grpc_tools.protoc`, and changes the generated files in two ways.

- Type stubs support a field named `str`. protoc writes `str: str`, after which `str` in the class means the field.
- Modules accept a protobuf that is older than protoc. They contain serialized descriptors, which every version of
  protobuf reads, and the client supports a range of versions (docs/client.md) whose ends are tested.
"""

import re
import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

_HIDES_STR = re.compile(r"^ +str: str$", re.MULTILINE)
_STR_AS_TYPE = re.compile(r"(?<=: )str(?=[],\n])|(?<=, )str(?=[]])|(?<=\[)str(?=[],])")


_VERSION_CHECK = re.compile(
    r"^from google\.protobuf import runtime_version as _runtime_version\n"
    r"|^_runtime_version\.ValidateProtobufRuntimeVersion\(\n(?: .*\n)+\)\n",
    re.MULTILINE,
)


def _remove_version_check(module: Path) -> None:
    text, removed = _VERSION_CHECK.subn("", module.read_text())
    if removed != 2 or "_runtime_version" in text:
        raise ValueError(f"{module} has an unknown form of the version check; adapt tools/protoc")
    module.write_text(text)


def _fix_str(stub: Path) -> None:
    text = stub.read_text()
    if _HIDES_STR.search(text):
        stub.write_text("from builtins import str as _str\n" + _STR_AS_TYPE.sub("_str", text))


def main(arguments: list[str]) -> int:
    """Runs protoc with the well-known types on its import path. Returns its exit code."""
    code: int = protoc.main(["protoc", *arguments, f"-I{resources.files('grpc_tools') / '_proto'}"])
    if code == 0:
        for stub in _generated(arguments, "--pyi_out=", "_pb2.pyi"):
            _fix_str(stub)
        for module in _generated(arguments, "--python_out=", "_pb2.py"):
            _remove_version_check(module)
    return code


def _generated(arguments: list[str], flag: str, suffix: str) -> set[Path]:
    """Returns the files with a suffix that were generated into the directories of a flag.

    Other files of these names, such as those of an environment in the same directory, are left out.
    """
    folders = [Path(argument.removeprefix(flag)) for argument in arguments if argument.startswith(flag)]
    roots = [Path(argument.removeprefix("-I")) for argument in arguments if argument.startswith("-I")]
    sources = [Path(argument) for argument in arguments if argument.endswith(".proto")]
    names = [source.relative_to(root) for source in sources for root in roots if source.is_relative_to(root)]
    generated = [folder / name.with_name(name.stem + suffix) for folder in folders for name in names]
    return {path for path in generated if path.exists()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
