"""Checks partition refs, wherever they come from; the only place that does.

Refs are compared as they are, so that only one form of each is let in. It does not know which job produces a ref.
"""

from __future__ import annotations

from typing import Final

from databuild.errors import InvalidRequestError

MAX_REF_BYTES: Final = 1024
"""How long a ref may be, in bytes of UTF-8."""

_ODD_SEGMENTS: Final = frozenset({"", ".", ".."})


def check_ref(ref: str) -> None:
    """Checks that a text can be a ref at all.

    Raises:
        InvalidRequestError: It cannot; the message says why.
    """
    fault = ""
    if not ref:
        fault = "it is empty"
    elif not ref.isprintable() or " " in ref:  # no other white space is printable, nor what is not UTF-8
        fault = "it has a space or a character that cannot be printed"
    elif len(ref) * 4 > MAX_REF_BYTES and len(ref.encode()) > MAX_REF_BYTES:
        fault = f"it is longer than {MAX_REF_BYTES} bytes"
    elif ref[0] == "-":
        fault = "it begins with a dash"
    elif not ref.isascii() and (normal := nfc(ref)) != ref:
        fault = f"it is not in Unicode normalization form C; write it as {normal!r}, which is {normal!a}"
    if fault:
        message = f"{ref[:80]!r} is no partition ref: {fault}"
        raise InvalidRequestError(message)


def nfc(text: str) -> str:
    """Returns a text in Unicode normalization form C, the form of all refs."""
    if text.isascii():
        return text
    import unicodedata

    return unicodedata.normalize("NFC", text)


def odd_segment(ref: str) -> str | None:
    """Returns the first segment of a ref that is empty, `.` or `..`, and that a path would not keep; None for none."""
    if "/." in ref or "//" in ref or ref[:1] in {".", "/"} or ref[-1:] == "/":
        return next((segment for segment in ref.split("/") if segment in _ODD_SEGMENTS), None)
    return None


def odd_segment_fault(segment: str) -> str:
    """Returns what is wrong with a ref that has such a segment where no pattern writes it out."""
    if segment:
        what = f"the segment {segment!r}, which leads a path elsewhere"
    else:
        what = "an empty segment, which no path keeps"
    return (
        f"it has {what}; only a pattern that writes the segment out allows it, in its text or as literal characters of "
        "a regular expression"
    )
