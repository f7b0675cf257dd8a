"""Media written into text are found in the forms in which mails and pages carry them; words stay words."""

from __future__ import annotations

import base64
import binascii
import json
import time

import pytest
from tests.workbench.evidence.conftest import draw_png

from leadline.workbench.embedded import leave_out

PNG = draw_png(1)
B64 = base64.b64encode(PNG).decode()


def wrapped(text: str, begin: str = "") -> str:
    return "\n".join(begin + text[at : at + 76] for at in range(0, len(text), 76))


def uuencoded() -> str:
    lines = [binascii.b2a_uu(PNG[at : at + 45]).decode() for at in range(0, len(PNG), 45)]
    return "begin 644 a.png\n" + "".join(lines) + "`\nend\n"


FORMS = {
    "data-url": f"data:image/png;base64,{B64}",
    "data-url-in-capitals": f"DATA:image/png;BASE64,{B64}",
    "data-url-with-a-character-set": f"data:image/png;charset=x;base64,{B64}",
    "data-url-of-no-type": f"data:;base64,{B64}",
    "data-url-percent-encoded": "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
    "data-url-wrapped": f"data:image/png;base64,{wrapped(B64)}",
    "base64": B64,
    "base64-wrapped": wrapped(B64),
    "base64-quoted-in-an-answer": wrapped(B64, "> "),
    "base64-of-urls": base64.urlsafe_b64encode(PNG).decode(),
    "base64-without-its-end": B64.rstrip("=")[:-7],
    "uuencoded": uuencoded(),
}


@pytest.mark.parametrize("form", FORMS)
def test_media_are_left_out_and_the_words_around_them_stay(form: str) -> None:
    text, contents = leave_out(f"Look at this:\n{FORMS[form]}\nI saw it yesterday.")
    assert len(contents) == 1
    assert contents[0][:1000] == PNG[:1000]
    assert text.removeprefix("Look at this:\n").lstrip("> ").startswith("[content of ")
    assert text.endswith("I saw it yesterday.")
    assert B64[400:440] not in text.replace("\n", "")


@pytest.mark.parametrize("form", ["data-url", "base64", "base64-wrapped"])
def test_media_inside_json_are_left_out_and_it_stays_json(form: str) -> None:
    said = {"text": "before", "picture": FORMS[form], "after": ["x, y"]}
    text, contents = leave_out(json.dumps(said))
    assert contents == [PNG]
    assert json.loads(text)["after"] == ["x, y"]
    assert json.loads(text)["picture"].startswith("[content of")


def test_several_are_each_left_out() -> None:
    text, contents = leave_out(f"{FORMS['data-url']} and {FORMS['data-url']}\n{FORMS['uuencoded']}")
    assert contents == [PNG, PNG, PNG]
    assert " and " in text


@pytest.mark.parametrize(
    "words",
    [
        "An ordinary text, with data: and begin 644 in it, and nothing else.",
        "https://example.org/" + "a-long-path/" * 40,
        "sha512 " + "0123456789abcdef" * 8,
        "data:text/plain,hello",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + wrapped(base64.b64encode(bytes(range(1, 200)) * 3).decode()),
        "ein langes Wort: " + "Donaudampfschifffahrtsgesellschaftskapitaen" * 9,
    ],
)
def test_words_links_hashes_and_keys_stay(words: str) -> None:
    assert leave_out(words) == (words, [])


@pytest.mark.parametrize(
    "text",
    ["A" * (1 << 18), "A\n" * (1 << 17), ("A" * 40 + "\n") * 6000, "data:" * 50_000, "data:;" * 40_000,
     "begin 644 a\n" * 20_000, "M" * 61 + "\n" + "begin 644 a\nM" * 20_000, "\\n" * (1 << 17), "> " * (1 << 17),
     ("A" * 39 + "\\n") * 6000, ("A" * 41 + " ") * 6000],
    ids=range(11),
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    leave_out(text)
    assert time.process_time() - began < 2
