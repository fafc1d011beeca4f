"""The channel to a worker: two pipes with messages, each preceded by its length as a varint.

It knows bytes and descriptors; it does not know the messages.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import Final

from databuild.executors.fd_poller import FdPoller

MAX_MESSAGE_BYTES: Final = 1 << 30
"""Maximum size of a message. Protobuf itself allows 2 GiB."""

MAX_STALL_SECONDS: Final = 10.0
"""The time for which a message may stay incomplete. Text that is no message looks like one that never ends."""

_READ_BYTES: Final = 1 << 16
_CONTINUATION_BIT: Final = 0x80
_MAX_LENGTH_BYTES: Final = 5
_MAX_SHOWN_BYTES: Final = 80
_MIN_CHILD_DESCRIPTOR: Final = 10


class ChannelError(Exception):
    """The bytes of a worker are not messages."""


class MessageBuffer:
    """Divides a stream of bytes into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def incomplete(self) -> bytes:
        """The beginning of an incomplete message; empty if there is none."""
        return bytes(self._bytes[:_MAX_SHOWN_BYTES])

    def add(self, data: bytes) -> Iterator[bytes]:
        """Adds bytes, and yields the messages that are complete.

        Raises:
            ChannelError: The length of a message is invalid.
        """
        self._bytes += data
        while (end := self._message_end()) is not None:
            start, stop = end
            message = bytes(self._bytes[start:stop])
            del self._bytes[:stop]
            yield message

    def _message_end(self) -> tuple[int, int] | None:
        """Returns the bounds of the first message; None if it is not complete."""
        length = 0
        for index, byte in enumerate(self._bytes[:_MAX_LENGTH_BYTES]):
            length |= (byte & ~_CONTINUATION_BIT) << 7 * index
            if byte < _CONTINUATION_BIT:
                if length > MAX_MESSAGE_BYTES:
                    break
                start = index + 1
                return (start, start + length) if len(self._bytes) >= start + length else None
        else:
            if len(self._bytes) < _MAX_LENGTH_BYTES:
                return None
        raise ChannelError(f"sent {self.incomplete!r}, which does not begin with the length of a message")


class Channel:
    """The end of a channel in this process. A fault is reported once, and nothing is read after it.

    Attributes:
        inherited: The descriptors for the worker: requests, then responses. Closed by `close_inherited`.
    """

    def __init__(
        self,
        poller: FdPoller,
        *,
        on_message: Callable[[bytes], None],
        on_fault: Callable[[str], None],
        on_close: Callable[[], None],
        stall_seconds: float,
    ) -> None:
        """Opens the pipes.

        Args:
            poller: Polls the responses.
            on_message: Called with each message of the worker.
            on_fault: Called with the predicate of a sentence about a worker that sent something else.
            on_close: Called when the worker, with its children, has closed its end.
            stall_seconds: The time for which a message may stay incomplete.

        Raises:
            OSError: This process lacks descriptors.
        """
        self._poller = poller
        self._on_message = on_message
        self._on_fault = on_fault
        self._on_close = on_close
        self._stall_seconds = stall_seconds
        self._buffer = MessageBuffer()
        self._unsent = bytearray()
        self._stall_timer: asyncio.TimerHandle | None = None
        opened: list[int] = []
        try:
            requests, self._requests = _pipe(opened)
            self._responses, responses = _pipe(opened)
            # The numbers that the worker gets must not be those of other descriptors that it gets.
            self.inherited = tuple(_moved(descriptor, opened) for descriptor in (requests, responses))
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        os.set_blocking(self._requests, False)
        os.set_blocking(self._responses, False)
        poller.add(self._responses, self.read)

    def close_inherited(self) -> None:
        """Closes the descriptors of the worker, which has its own copies."""
        for descriptor in self.inherited:
            os.close(descriptor)

    def send(self, message: bytes) -> None:
        """Sends a message, in parts if the pipe is full. A worker that has ended gets nothing."""
        waiting = bool(self._unsent)
        self._unsent += _varint(len(message)) + message
        if not waiting and not self._write():
            asyncio.get_running_loop().add_writer(self._requests, self._write_more)

    def read(self) -> None:
        """Passes on the messages that have arrived."""
        while self._responses >= 0:
            try:
                data = os.read(self._responses, _READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                self._stop_reading()
                self._on_close()
                return
            try:
                for message in self._buffer.add(data):
                    self._on_message(message)
            except ChannelError as fault:
                self._fail(str(fault))
                return
            if len(data) < _READ_BYTES:
                break
        self._watch_for_stalls()

    def hang_up(self) -> None:
        """Closes the requests, which asks the worker to end."""
        if self._requests >= 0:
            if self._unsent:
                asyncio.get_running_loop().remove_writer(self._requests)
                self._unsent.clear()
            os.close(self._requests)
            self._requests = -1

    def close(self) -> None:
        """Closes both pipes."""
        self.hang_up()
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        if self._responses >= 0:
            self._poller.close(self._responses)
            self._responses = -1

    def _fail(self, fault: str) -> None:
        self._stop_reading()
        self._on_fault(fault)

    def _watch_for_stalls(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        if self._responses >= 0 and self._buffer.incomplete:
            loop = asyncio.get_running_loop()
            self._stall_timer = loop.call_later(self._stall_seconds, self._stalled)

    def _stalled(self) -> None:
        self._fail(
            f"sent {self._buffer.incomplete!r} and nothing more for {self._stall_seconds:g} seconds, which is not a "
            "complete message"
        )

    def _write(self) -> bool:
        """Writes what the pipe takes, and returns True if nothing is left to write."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._requests, self._unsent)]
        except BlockingIOError:
            return False
        except OSError:
            self._unsent.clear()  # the worker has ended, which its pidfd reports
        return True

    def _write_more(self) -> None:
        if self._write():
            asyncio.get_running_loop().remove_writer(self._requests)


def _pipe(opened: list[int]) -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    opened += ends
    return ends


def _moved(descriptor: int, opened: list[int]) -> int:
    """Returns a copy of a descriptor with a higher number, and closes the original."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _MIN_CHILD_DESCRIPTOR)
    opened.append(copy)
    opened.remove(descriptor)
    os.close(descriptor)
    return copy


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= _CONTINUATION_BIT:
        encoded.append(value & ~_CONTINUATION_BIT & 0xFF | _CONTINUATION_BIT)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
