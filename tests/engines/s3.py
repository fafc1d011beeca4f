"""An S3 server on loopback for tests: moto's, in a process of its own, which can be told to refuse what is written.

`python -m tests.engines.s3` is that process. It prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tools.python import child

_CONTROL: Final = "/databuild-test/writes/"
_FILL: Final = "/databuild-test/fill/"
_REASONS: Final = {"200": "OK", "403": "Forbidden", "503": "Slow Down", "507": "Insufficient Storage"}


class S3Server:
    """A server with one bucket, `bucket`.

    Attributes:
        environ: The variables with which the libraries of S3 find the server.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            child.command("-m", "tests.engines.s3"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.endpoint: Final = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.environ: Final[Mapping[str, str]] = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        }
        self._client: Any = boto3.client(
            "s3",
            aws_access_key_id="test",
            aws_secret_access_key="secret-of-the-test",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
        )
        self._client.create_bucket(Bucket="bucket")

    @property
    def pid(self) -> int:
        """The id of the process of the server."""
        return self._process.pid

    def keys(self, prefix: str = "") -> list[str]:
        """Returns the keys of the bucket that begin with a prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def put(self, key: str, data: bytes, bucket: str = "bucket") -> str:
        """Writes an object, and returns its ETag without quotation marks."""
        tag: str = self._client.put_object(Bucket=bucket, Key=key, Body=data)["ETag"]
        return tag.strip('"')

    def fill(self, prefix: str, count: int) -> None:
        """Writes objects with the keys PREFIX00000 and so on in the process of the server, without a request for each.

        Each contains its number. There are at most 100,000.
        """
        with urllib.request.urlopen(f"{self.endpoint}{_FILL}{count}/{prefix}"):
            pass

    def remove(self, key: str) -> None:
        """Removes an object of the bucket."""
        self._client.delete_object(Bucket="bucket", Key=key)

    def create_bucket(self, name: str) -> None:
        """Creates another bucket."""
        self._client.create_bucket(Bucket=name)

    def uploads(self) -> list[str]:
        """Returns the keys of uploads in parts that have not ended."""
        return [one["Key"] for one in self._client.list_multipart_uploads(Bucket="bucket").get("Uploads", ())]

    def content(self, key: str) -> bytes:
        """Returns an object of the bucket."""
        content: bytes = self._client.get_object(Bucket="bucket", Key=key)["Body"].read()
        return content

    def answer_writes_with(self, status: int) -> None:
        """Answers requests that write with a status, until this is called with 200."""
        with urllib.request.urlopen(f"{self.endpoint}{_CONTROL}{status}"):
            pass

    def keep_objects(self, keep: bool) -> None:
        """Begins or ends to refuse the removal of each object in requests for many, which succeed as a whole."""
        with urllib.request.urlopen(f"{self.endpoint}{_CONTROL}{'keep' if keep else 200}"):
            pass

    def close(self) -> None:
        """Stops the server. Its objects are lost."""
        self._process.communicate()
        self._client.close()

    def __enter__(self) -> S3Server:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()


class _Refusing:
    """The application of moto, with answers of its own for what writes."""

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        self._status = "200"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if path.startswith(_CONTROL):
            self._status = path.removeprefix(_CONTROL)
            start_response("200 OK", [])
            return [b""]
        if path.startswith(_FILL):
            count, _, prefix = path.removeprefix(_FILL).partition("/")
            _fill(prefix, int(count))
            start_response("200 OK", [])
            return [b""]
        if environ["REQUEST_METHOD"] in {"PUT", "POST", "DELETE"} and self._status != "200":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            if self._status == "keep":
                start_response("200 OK", [("Content-Type", "application/xml")])
                return [b"<DeleteResult><Error><Key>x</Key><Code>AccessDenied</Code></Error></DeleteResult>"]
            start_response(f"{self._status} {_REASONS[self._status]}", [("Content-Type", "application/xml")])
            return [b"<Error><Code>Refused</Code><Message>the test refuses writes</Message></Error>"]
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer


def _fill(prefix: str, count: int) -> None:
    from moto.s3.models import s3_backends

    backend = s3_backends["123456789012"]["aws"]
    for number in range(count):
        backend.put_object("bucket", f"{prefix}{number:05}", str(number).encode())


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is werkzeug's
        pass


def main() -> None:
    server = make_server("127.0.0.1", 0, _Refusing(), threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
