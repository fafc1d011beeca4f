"""A subset of Markdown as HTML: headings, paragraphs, lists, code, emphasis and links.

Everything else, HTML included, is text. Elements are not nested, so that the time is in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from markupsafe import Markup, escape

MAX_LENGTH: Final = 20_000
"""The maximum number of characters that are shown."""

_HEADING: Final = re.compile(r"#{1,6}[ \t]+(.*)")
_BULLET: Final = re.compile(r"[ ]{0,3}[-*+][ \t]+(.*)")
_NUMBERED: Final = re.compile(r"[ ]{0,3}\d{1,9}[.)][ \t]+(.*)")
_FENCE: Final = "```"
_INLINE: Final = re.compile(
    r"`(?P<code>[^`]{1,1000})`"
    r"|\[(?P<text>[^\[\]]{1,300})\]\((?P<url>https?://[^\s()<>\"]{1,2000})\)"
    r"|\*\*(?P<strong>[^*]{1,1000})\*\*"
    r"|\*(?P<emphasis>[^*\s][^*]{0,1000})\*"
)


def rendered(text: str) -> Markup:
    """Returns the text as HTML. All headings are of one level, below those of the page, so that none is skipped."""
    shown = text[:MAX_LENGTH] + ("\n\n…" if len(text) > MAX_LENGTH else "")
    return Markup("\n").join(_blocks(shown.splitlines()))


def _blocks(lines: list[str]) -> Iterator[Markup]:
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.startswith(_FENCE):
            end = next((i for i in range(index + 1, len(lines)) if lines[i].startswith(_FENCE)), len(lines))
            yield Markup("<pre><code>{}</code></pre>").format("\n".join(lines[index + 1 : end]))
            index = end + 1
        elif heading := _HEADING.fullmatch(line):
            yield Markup("<h3>{}</h3>").format(_inline(heading[1]))
            index += 1
        elif _BULLET.fullmatch(line) or _NUMBERED.fullmatch(line):
            pattern, tag = (_BULLET, "ul") if _BULLET.fullmatch(line) else (_NUMBERED, "ol")
            items = []
            while index < len(lines) and (item := pattern.fullmatch(lines[index])):
                items.append(Markup("<li>{}</li>").format(_inline(item[1])))
                index += 1
            yield Markup("<{0}>{1}</{0}>").format(tag, Markup("").join(items))
        elif line.strip():
            begin = index
            while index < len(lines) and _is_paragraph(lines[index]):
                index += 1
            yield Markup("<p>{}</p>").format(_inline("\n".join(lines[begin:index])))
        else:
            index += 1


def _is_paragraph(line: str) -> bool:
    begins_block = line.startswith(_FENCE) or any(p.fullmatch(line) for p in (_HEADING, _BULLET, _NUMBERED))
    return bool(line.strip()) and not begins_block


def _inline(text: str) -> Markup:
    parts = []
    position = 0
    for match in _INLINE.finditer(text):
        parts.append(escape(text[position : match.start()]))
        if match["code"]:
            parts.append(Markup("<code>{}</code>").format(match["code"]))
        elif match["url"]:
            parts.append(link(match["url"], match["text"]))
        elif match["strong"]:
            parts.append(Markup("<strong>{}</strong>").format(match["strong"]))
        else:
            parts.append(Markup("<em>{}</em>").format(match["emphasis"]))
        position = match.end()
    parts.append(escape(text[position:]))
    return Markup("").join(parts)


def link(url: str, text: str) -> Markup:
    """Returns a link to another site, which learns nothing of this one. The URL must be one of http or https."""
    return Markup('<a href="{}" rel="noopener noreferrer nofollow">{}</a>').format(url, text)
