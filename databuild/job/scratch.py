"""Redirection of paths in a reproduction, in which a job must not replace data.

`reproduce --run` sets `DATABUILD_SCRATCH` to the root of a tree, in which the file `/data/day.parquet` of this machine
is `ROOT/data/day.parquet`.
"""

# pathlib takes longer to import than a config function takes to run.
# ruff: noqa: PTH100, PTH110
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SCRATCH_VARIABLE: "Final" = "DATABUILD_SCRATCH"
_OBJECTS = "/.objects/"


def path_to_write(path: str) -> str:
    """Returns the path to write instead of a path; itself outside a reproduction."""
    root = os.environ.get(SCRATCH_VARIABLE, "")
    if not root:
        return path
    absolute = os.path.abspath(path)
    return absolute if absolute.startswith(f"{root}/") else root + absolute


def path_to_read(path: str) -> str:
    """Returns the path to read instead of a path: itself, unless the reproduction has written it."""
    written = path_to_write(path)
    return written if written != path and os.path.exists(written) else path


def object_file(uri: str) -> str:
    """Returns the file to write instead of an object, such as `s3://bucket/key`; empty outside a reproduction."""
    root = os.environ.get(SCRATCH_VARIABLE, "")
    return root + _OBJECTS + uri.replace("://", "/") if root else ""
