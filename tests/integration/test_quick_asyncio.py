"""TLS by asyncio after an import that has left it out, and signals without the handlers of asyncio."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from databuild.cli import quick_asyncio
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


class Unprintable:
    """A result that must not be formatted."""

    def __repr__(self) -> str:
        raise AssertionError


async def interrupted(ended: list[str]) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("cancelled")
        await asyncio.sleep(0)
        ended.append("cleaned up")


def test_a_result_is_returned_and_never_formatted() -> None:
    result = Unprintable()

    async def main() -> Unprintable:
        return result

    assert quick_asyncio.run(main()) is result
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_cancels_the_coroutine_which_may_clean_up() -> None:
    ended: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        quick_asyncio.run(interrupted(ended))

    assert ended == ["cancelled", "cleaned up"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_is_raised_at_once() -> None:
    async def main() -> None:
        try:
            await interrupted([])
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        quick_asyncio.run(main())


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:

        async def main() -> str:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)
            return "done"

        assert quick_asyncio.run(main()) == "done"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_handled_signal_wakes_the_loop_and_cancels_nothing(number: signal.Signals) -> None:
    async def main() -> str:
        called = asyncio.Event()
        quick_asyncio.handle_signal(number, called.set)
        os.kill(os.getpid(), number)
        await called.wait()
        return "done"

    assert quick_asyncio.run(main()) == "done"
    expected = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    assert signal.getsignal(number) is expected[number]


def test_a_signal_that_another_thread_gets_wakes_the_loop() -> None:
    async def main() -> str:
        called = asyncio.Event()
        quick_asyncio.handle_signal(signal.SIGTERM, called.set)

        def send() -> None:
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

        thread = threading.Timer(0.05, send)  # when the loop waits
        thread.start()
        async with asyncio.timeout(20):
            await called.wait()
        thread.join()
        return "done"

    assert quick_asyncio.run(main()) == "done"
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_are_handled_without_the_module_inspect() -> None:
    program = (
        "import sys\nfrom databuild.cli.quick_asyncio import handle_signal, import_asyncio, run\nimport_asyncio()\n"
        "async def main():\n    handle_signal(2, lambda: None)\n    handle_signal(15, lambda: None)\nrun(main())\n"
        "print(type(sys.modules['inspect']).__name__)\n"
    )

    ended = subprocess.run(child.command("-c", program), capture_output=True, text=True, check=False, timeout=60)

    assert (ended.stdout, ended.stderr) == ("_LazyModule\n", "")
