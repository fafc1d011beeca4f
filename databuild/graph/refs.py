"""Syntax of partition refs; every ref from outside is checked here.

Refs are compared byte by byte, so each has only one valid spelling (docs/adr/0012-refs-have-one-spelling.md). The jobs
that produce refs are not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from databuild.errors import InvalidRequestError

MAX_REF_BYTES: Final = 1024
"""Maximum length of a ref in UTF-8."""

_MARKS_TO_CHECK: Final = ("  ", " /", "/ ", "//", "/.", " .", " -")
"""Parts of a text of refs between spaces if one of them is empty, begins with a dash or may be unsafe."""

_UNSAFE_SEGMENTS: Final = frozenset({"", ".", ".."})


def check_ref(ref: str) -> None:
    """Checks the form of a ref, whatever the patterns of a graph.

    Raises:
        InvalidRequestError: The text is not a valid ref.
    """
    fault = ""
    if not ref:
        fault = "it is empty"
    elif not ref.isprintable() or " " in ref:  # other white space and lone surrogates are not printable
        fault = "it has a space or a character that cannot be printed"
    elif len(ref) * 4 > MAX_REF_BYTES and len(ref.encode()) > MAX_REF_BYTES:  # UTF-8 has at most 4 bytes per character
        fault = f"it is longer than {MAX_REF_BYTES} bytes"
    elif ref[0] == "-":
        fault = "it begins with a dash"
    elif not ref.isascii() and (normal := nfc(ref)) != ref:
        fault = f"it is not in Unicode normalization form C; write it as {normal!r}, which is {normal!a}"
    if fault:
        message = f"{ref[:80]!r} is not a partition ref: {fault}"
        raise InvalidRequestError(message)


def are_plain(refs: Sequence[str]) -> bool:
    """Returns True if refs, at least one, are valid and ASCII, and have no segment that begins with a dot or is empty.

    Takes far less time than `check_ref` for each. False says nothing about a single ref.
    """
    text = f" {' '.join(refs)} "
    return (
        text.isascii()
        and text.isprintable()
        and text.count(" ") == len(refs) + 1
        and not any(map(text.__contains__, _MARKS_TO_CHECK))
        and max(map(len, refs)) <= MAX_REF_BYTES
    )


def nfc(text: str) -> str:
    """Returns a text in Unicode normalization form C, the form of all refs."""
    if text.isascii():
        return text
    import unicodedata  # a large table; most graphs have ASCII refs only

    return unicodedata.normalize("NFC", text)


def unsafe_segment(ref: str) -> str | None:
    """Returns the first segment that is empty, `.` or `..`; None without one. Paths made of such refs may be unsafe."""
    if "/." in ref or "//" in ref or ref[:1] in {".", "/"} or ref[-1:] == "/":
        return next((segment for segment in ref.split("/") if segment in _UNSAFE_SEGMENTS), None)
    return None


def unsafe_segment_fault(segment: str) -> str:
    """Describes the fault of a ref with an unsafe segment that no pattern contains literally."""
    if segment:
        what = f"the segment {segment!r}, which would change the directory of a path"
    else:
        what = "an empty segment, which a path would lose"
    return (
        f"it has {what}; it is allowed only by a pattern that contains the segment literally, in its text or in a "
        "regular expression"
    )
