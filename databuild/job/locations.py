"""Locations of files and folders, and the version of one, by which DataBuild notices that it has changed.

DataBuild itself uses this module to check the files of partitions, so that it and jobs agree on the version of a file.
"""

# pathlib and urllib take longer to import than a short job to run.
# ruff: noqa: PTH100, PTH109, PTH116, PTH118
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/!$&'()*+,;=:@")
"""The bytes that stand for themselves in the path of a URI (RFC 3986, section 3.3)."""


OBJECT_VERSIONS = ("generation", "ETag", "etag")
"""The names by which the libraries of object stores give the version of an object."""

_LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""The library of fsspec for each scheme."""

_SECRETS = (
    "X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|AWSAccessKeyId|X-Goog-Signature|X-Goog-Credential"
    "|GoogleAccessId|Signature|sig|access_token|token|password"
)
"""Parameters of queries by which S3, Google Cloud Storage, Azure and other services give access to who has the URL."""

DATA_ROOT_VARIABLE = "DATABUILD_DATA_ROOT"
ENVIRONMENT_VARIABLE = "DATABUILD_ENVIRONMENT"
ENVIRONMENTS_FOLDER = ".environments"
"""The folder in a data root that has a folder for each environment."""


def place(ref: str, environ: "Mapping[str, str]", root: str = "") -> str:
    """Returns the place of the data of a partition: `ROOT/REF`, or in an environment `ROOT/.environments/NAME/REF`.

    Args:
        ref: The partition.
        environ: The variables of the job run.
        root: The data root, a path or a URI such as `s3://bucket/data`. A relative path is relative to the workspace.
            Default: `DATABUILD_DATA_ROOT`, or `data`.

    Raises:
        ValueError: The ref is not a path below a folder.
    """
    unsafe = sorted({"", ".", ".."}.intersection(ref.split("/")))
    if unsafe:
        raise ValueError(f"{ref!r} cannot be a path below the data root: it has the segment {unsafe[0]!r}")
    root = root or environ.get(DATA_ROOT_VARIABLE, "") or "data"
    if not is_uri(root):
        root = os.path.join(environ.get("BUILD_WORKSPACE_DIRECTORY", "") or os.getcwd(), root)
    environment = environ.get(ENVIRONMENT_VARIABLE, "")
    folder = f"{ENVIRONMENTS_FOLDER}/{environment}/" if environment else ""
    return f"{root.rstrip('/')}/{folder}{ref}"


def is_uri(text: str) -> bool:
    """Returns True if a text is a URI such as `s3://bucket/key` or `file:/data/x`, and not a path."""
    scheme, colon, rest = text.partition(":")
    return bool(colon) and scheme.isascii() and scheme.isidentifier() and (rest.startswith("/") or scheme == "file")


def without_credentials(text: str) -> str:
    """Returns a text without what URIs in it have as credentials: users with passwords, and signatures of queries."""
    import re

    text = re.sub(r"(?<=://)[^/@\s\"'?#]*:[^/@\s\"'?#]*@", "", text)
    return re.sub(rf"([?&])({_SECRETS})=[^&#\s\"']*", r"\1\2=...", text, flags=re.IGNORECASE)


def has_credentials(uri: str) -> bool:
    """Returns True if a URI has a user with a password, or a parameter by which stores sign URLs."""
    return without_credentials(uri) != uri


def file_uri(path: "str | os.PathLike[str]") -> str:
    """Returns the `file:` URI of a path, which may be relative to the working directory (RFC 8089)."""
    data = os.fsencode(os.path.abspath(path))
    return "file://" + "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in data)


def file_path(uri: str) -> str:
    """Returns the path of a `file:` URI.

    Raises:
        ValueError: It is not one, or names another machine, or is not the path of any file.
    """
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "file":
        raise ValueError(f"{uri!r} is not a file: URI")
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise ValueError(f"{uri!r} names a file of the machine {host!r}; a file: URI has three slashes")
        rest = slash + path
    if not rest.startswith("/"):
        raise ValueError(f"{uri!r} has no absolute path")
    path = os.fsdecode(_unescaped(os.fsencode(rest), uri)) if "%" in rest else rest
    if "\0" in path:
        raise ValueError(f"{uri!r} has a null character, which no path has")
    return path


def _unescaped(path: bytes, uri: str) -> bytes:
    first, *escaped = path.split(b"%")
    try:
        # `int` also takes a sign, a space and an underscore.
        if not all(part[:2].isalnum() and len(part) > 1 for part in escaped):
            raise ValueError
        return first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in escaped)
    except ValueError:
        raise ValueError(f"{uri!r} has an invalid escape") from None


def object_facts(uri: str, size: "int | None", version: str) -> "tuple[int | None, str]":
    """Returns the size and the version of an object, where they are not given.

    They are what fsspec returns, if this process has imported the library of the store. A job that uses another library
    does not wait for one that it does not need. Facts that cannot be read stay unknown.
    """
    import sys

    if _LIBRARIES.get(uri.partition(":")[0]) not in sys.modules:
        return size, version
    try:
        files, path = sys.modules["fsspec.core"].url_to_fs(uri)
        facts = files.info(path, refresh=True) if uri.startswith("s3:") else files.info(path)
    except Exception:  # the libraries have no common class of errors
        return size, version
    if facts.get("type") != "file":
        return size, version
    found = next((str(facts[name]).strip('"') for name in OBJECT_VERSIONS if facts.get(name)), "")
    return int(facts["size"]) if size is None else size, version or found


def size_and_version(path: "str | os.PathLike[str]") -> tuple[int, str]:
    """Returns the size in bytes and the version of a file or folder.

    The version of a file is its modification time in nanoseconds and its inode. The size of a folder is the sum of the
    sizes of the regular files below it, and its version is a digest of their paths, sizes and versions. Symbolic links
    in a folder are not followed, and names that begin with a dot are left out, such as those of unfinished files.

    Raises:
        OSError: There is no such file or folder, or it cannot be read.
    """
    facts = os.stat(path)
    if not stat.S_ISDIR(facts.st_mode):
        return facts.st_size, file_version(facts)
    import hashlib

    total = 0
    digest = hashlib.sha256()
    for name, entry in files_below(path):
        facts = entry.stat(follow_symlinks=False)
        total += facts.st_size
        digest.update(os.fsencode(f"{name}\0{facts.st_size}\0{file_version(facts)}\n"))
    return total, f"folder:{digest.hexdigest()[:32]}"


def file_version(facts: os.stat_result) -> str:
    """Returns the version of a file with these facts."""
    return f"{facts.st_mtime_ns}.{facts.st_ino}"


def files_below(folder: "str | os.PathLike[str]", prefix: str = "") -> "Iterator[tuple[str, os.DirEntry[str]]]":
    """Yields the regular files below a folder that count as its data, with their relative paths, in order of name."""
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path, f"{name}/")
        elif entry.is_file(follow_symlinks=False):
            yield name, entry
