"""Publication of objects in S3: a run whose outputs another run is producing already does not overwrite them.

Each object has the fencing token of its run in its own metadata. It is replaced by a conditional write (`If-Match`,
`If-None-Match`), which the store refuses if the object has changed since the token was read. The token and the data
cannot differ, since one request writes both.
"""

import os
from typing import Any

from databuild.job.publishing import OvertakenError

SCHEME = "s3"
_TOKEN = "databuild-fencing-token"  # noqa: S105 - a name of metadata
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_MAX_TRIES = 100


class ObjectChangedError(Exception):
    """The object is not any more what the condition of a write says."""


class S3Objects:
    """The requests to S3, by s3fs, which the program of the job brings along."""

    def __init__(self) -> None:
        """Connects with the first request.

        Raises:
            ImportError: The program of the job has no s3fs.
        """
        try:
            import s3fs
        except ImportError as error:
            message = "to publish to s3://, add the package s3fs to the deps of the program of the job"
            raise ImportError(message) from error
        self._files: Any = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)

    def head(self, bucket: str, key: str) -> "tuple[str, int] | None":
        """Returns the ETag of an object and the token in it, 0 for none; None if there is no object."""
        try:
            facts = self._files.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        return facts["ETag"], int(facts.get("Metadata", {}).get(_TOKEN, 0))

    def put(self, source: str, bucket: str, key: str, token: int, condition: "dict[str, str]") -> None:
        """Writes an object.

        Raises:
            ObjectChangedError: The condition does not hold.
            OSError: The object cannot be written.
        """
        try:
            with open(source, "rb") as file:  # noqa: PTH123
                self._files.call_s3(
                    "put_object", Bucket=bucket, Key=key, Body=file, Metadata={_TOKEN: str(token)}, **condition
                )
        except FileNotFoundError as error:
            if condition.get("IfMatch"):  # of the object, which was deleted
                raise ObjectChangedError from error
            raise
        except OSError as error:
            response = getattr(error.__cause__, "response", {})
            if response.get("Error", {}).get("Code") in _CHANGED:
                raise ObjectChangedError from error
            raise

    def remove(self, bucket: str, key: str) -> None:
        self._files.call_s3("delete_object", Bucket=bucket, Key=key)


def publish_object(source: str, uri: str, token: int, objects: "S3Objects | None" = None) -> None:
    """Moves a file into an object, unless a run with a newer token has published it.

    Args:
        source: The complete file, which is removed then.
        uri: The object, `s3://BUCKET/KEY`.
        token: The fencing token of the run; 0 to write the object in any case.
        objects: The requests to the store; None to make them by s3fs.

    Raises:
        OvertakenError: A newer run has published the object; it is unchanged, as is the file.
        ValueError: The URI is not of this form, or its store has no conditional writes.
        ImportError: The program of the job has no s3fs.
        OSError: The store fails.
    """
    scheme, _, path = uri.partition("://")
    bucket, _, key = path.partition("/")
    if scheme != SCHEME or not bucket or not key:
        message = f"{uri!r} cannot be published to; use a path, or s3://BUCKET/KEY. For another store, pass "
        raise ValueError(message + "DATABUILD_FENCING_TOKEN to a conditional write of its own")
    objects = objects or S3Objects()
    if token:
        _check_conditions(source, objects, bucket, key, token)
        _replace(source, uri, objects, token)
    else:
        objects.put(source, bucket, key, token, {})
    os.unlink(source)  # noqa: PTH108


def _replace(source: str, uri: str, objects: S3Objects, token: int) -> None:
    bucket, _, key = uri.removeprefix(f"{SCHEME}://").partition("/")
    for _ in range(_MAX_TRIES):
        found = objects.head(bucket, key)
        if found is not None and found[1] > token:
            raise OvertakenError(uri, token, found[1])
        try:
            objects.put(source, bucket, key, token, {"IfMatch": found[0]} if found else {"IfNoneMatch": "*"})
        except ObjectChangedError:
            continue  # by another run, whose token has to be read
        return
    message = f"{uri} was changed by others before each of {_MAX_TRIES} writes"
    raise OSError(message)


def _check_conditions(source: str, objects: S3Objects, bucket: str, key: str, token: int) -> None:
    """Checks that the store has conditional writes: some others with the interface of S3 ignore the conditions.

    Raises:
        ValueError: It has none.
    """
    probe = f"{key}.{token}.databuild-probe"
    try:
        objects.put(os.devnull, bucket, probe, token, {"IfMatch": '"none"'})
    except ObjectChangedError:
        return
    objects.remove(bucket, probe)
    message = f"the store of s3://{bucket} ignores the conditions of writes (If-Match), so {source} is not published"
    raise ValueError(message)
