"""Tabs of a browser, and errors on their pages."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Literal, Protocol, TypedDict, Unpack

from playwright.async_api import Page, ViewportSize

from tests.support.served import Served


class Faults(list[str]):
    """Errors on pages. Messages that contain `expected` are ignored."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: str | None = None

    def add(self, text: str) -> None:
        if self.expected is None or self.expected not in text:
            self.append(text)


class ContextOptions(TypedDict, total=False):
    """The options of a browser that tests use."""

    bypass_csp: bool
    color_scheme: Literal["dark", "light"]
    java_script_enabled: bool
    reduced_motion: Literal["reduce"]
    viewport: ViewportSize


class OpenPage(Protocol):
    """Opens a tab in a new context. Any error on its pages fails the test."""

    def __call__(self, served: Served, path: str = "/", **options: Unpack[ContextOptions]) -> Awaitable[Page]: ...
