"""A strict reader of pages, and what a visitor does with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from django.test import Client

LANGUAGES = ("en", "fr", "nl", "de")
PAGES = ("", "report/", "appeal/", "answer/", "help/")
_VOID = frozenset({"meta", "link", "input", "br"})
FORM = "application/x-www-form-urlencoded"


@dataclass
class Element:
    """One element: its name, attributes, the names it stands in, and the text in it."""

    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A page, taken apart. Fails on an element that is closed out of turn."""

    html: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []
        self.feed(self.html)
        assert [element.tag for element in self._open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(e.tag for e in self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]

    def fields(self) -> list[Element]:
        return [e for e in self.all("input", "textarea", "select") if e.attributes.get("type") != "hidden"]

    def value(self, name: str) -> str:
        """Of a hidden field."""
        return next(e.attributes["value"] for e in self.all("input") if e.attributes.get("name") == name)

    def ids(self) -> list[str]:
        return [e.attributes["id"] for e in self.elements if "id" in e.attributes]


def open_page(client: Client, path: str) -> Page:
    return Page(client.get(path).content.decode())


def send_report(client: Client, language: str = "en", **fields: Any) -> Any:
    """Open the form, fill it in, send it."""
    token = open_page(client, f"/{language}/report/").value("token")
    return client.post(f"/{language}/report/", urlencoded({"token": token, **fields}), content_type=FORM)


def urlencoded(fields: dict[str, Any]) -> str:
    return urlencode(fields, doseq=True)


def passphrase_in(response: Any) -> str:
    page = Page(response.content.decode())
    return next(e.text.strip() for e in page.elements if e.attributes.get("class") == "passphrase")


def read_answer(client: Client, passphrase: str, language: str = "en") -> Any:
    token = open_page(client, f"/{language}/answer/").value("token")
    fields = {"token": token, "passphrase": passphrase}
    return client.post(f"/{language}/answer/", urlencoded(fields), content_type=FORM)
