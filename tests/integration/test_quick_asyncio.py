"""TLS by asyncio after an import that has left it out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.engines.certificates import make_certificate
from tools.python import child

PROGRAM = """
import sys
from databuild.cli.quick_asyncio import import_asyncio
import_asyncio()
import asyncio, ssl
names = ("ssl", "asyncio.sslproto")
print(*(type(sys.modules[name]).__name__ for name in names))
authority, certificate, key = sys.argv[1:]

async def answer(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def main():
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving) as server:
        port = server.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=authority)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        writer.write(b"hello\\n")
        print((await reader.readline()).decode(), end="")
        writer.close()

asyncio.run(main())
print(*(type(sys.modules[name]).__name__ for name in names))
"""


def test_tls_is_loaded_when_a_connection_uses_it(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "server")

    ended = subprocess.run(
        child.command("-c", PROGRAM, *certificate), capture_output=True, text=True, check=False, timeout=60
    )

    assert (ended.stdout, ended.stderr) == ("_LazyModule _LazyModule\nhello\nmodule module\n", "")
