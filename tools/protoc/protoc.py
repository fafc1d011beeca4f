"""protoc as `python -m grpc_tools.protoc` runs it, with type stubs that hold for a field named `str`.

protoc's stubs give such a field as `str: str`, and from then on every `str` in its message means the field.
"""

import re
import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

_HIDES_STR = re.compile(r"^ +str: str$", re.MULTILINE)
_STR_AS_TYPE = re.compile(r"(?<=: )str(?=[],\n])|(?<=, )str(?=[]])|(?<=\[)str(?=[],])")


def _repair(stub: Path) -> None:
    text = stub.read_text()
    if _HIDES_STR.search(text):
        stub.write_text("from builtins import str as _str\n" + _STR_AS_TYPE.sub("_str", text))


def main(arguments: list[str]) -> int:
    """Runs protoc with its well-known types on the import path, and returns its exit code."""
    code: int = protoc.main(["protoc", *arguments, f"-I{resources.files('grpc_tools') / '_proto'}"])
    folders = [Path(argument.partition("=")[2]) for argument in arguments if argument.startswith("--pyi_out=")]
    sources = [Path(argument) for argument in arguments if argument.endswith(".proto")]
    for folder in folders if code == 0 else ():
        for stub in {found for source in sources for found in folder.glob(f"**/{source.stem}_pb2.pyi")}:
            _repair(stub)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
