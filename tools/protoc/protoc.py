"""protoc as `python -m grpc_tools.protoc` runs it, with two changes to what it generates.

Type stubs hold for a field named `str`: protoc gives such a field as `str: str`, and from then on every `str` in its
message means the field.

Modules do not refuse a protobuf that is older than protoc. They consist of serialized descriptors, which any protobuf
reads, and the client supports a range of versions (docs/client.md), at both ends of which it is tested.
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


def _without_check(module: Path) -> None:
    text, removed = _VERSION_CHECK.subn("", module.read_text())
    if removed != 2 or "_runtime_version" in text:
        raise ValueError(f"{module} does not check protobuf's version in the way that is known; adapt tools/protoc")
    module.write_text(text)


def _repair(stub: Path) -> None:
    text = stub.read_text()
    if _HIDES_STR.search(text):
        stub.write_text("from builtins import str as _str\n" + _STR_AS_TYPE.sub("_str", text))


def main(arguments: list[str]) -> int:
    """Runs protoc with its well-known types on the import path, and returns its exit code."""
    code: int = protoc.main(["protoc", *arguments, f"-I{resources.files('grpc_tools') / '_proto'}"])
    if code == 0:
        for stub in _generated(arguments, "--pyi_out=", "_pb2.pyi"):
            _repair(stub)
        for module in _generated(arguments, "--python_out=", "_pb2.py"):
            _without_check(module)
    return code


def _generated(arguments: list[str], flag: str, suffix: str) -> set[Path]:
    """Returns the files with a suffix that were generated into the folders that a flag names."""
    folders = [Path(argument.removeprefix(flag)) for argument in arguments if argument.startswith(flag)]
    sources = [Path(argument) for argument in arguments if argument.endswith(".proto")]
    return {found for folder in folders for source in sources for found in folder.glob(f"**/{source.stem}{suffix}")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
