"""What of a page people read: its texts, and what a screen reader says of it. Not code, not what was typed."""

from __future__ import annotations

from html.parser import HTMLParser

_SAID = ("aria-label", "title", "placeholder", "alt")
_AS_IT_IS = frozenset({"code", "pre", "kbd", "script", "style"})
_VOID = frozenset({"meta", "link", "input", "br", "img", "hr"})


class Read(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in _SAID or (name.startswith("data-") and name.endswith("-name")):
                self._keep(value or "")
        if tag not in _VOID:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not _AS_IT_IS.intersection(self._inside):
            self._keep(data)

    def _keep(self, text: str) -> None:
        if text := " ".join(text.split()):
            self.texts.add(text)
