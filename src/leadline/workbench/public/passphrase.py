"""The passphrase that is a reporter's receipt: made of random words, and brought into one form when it comes back.

Words: the EFF's large list for passphrases (Joseph Bonneau, Electronic Frontier Foundation, 2016; CC BY 3.0 US) and,
on German pages, the list of dys2p (BSD-3-Clause); both come with the package `xkcdpass`. There is no French or Dutch
list of known origin and checked words, so these pages show English words.
Stores nothing: `reports` keeps an Argon2 hash and a keyed look-up value, never the words.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from functools import cache
from importlib.resources import files

WORDS = 7  # of more than 7,700 words: log2(7700 ** 7) = 90.4 bits
MAX_CHARACTERS = 300
_LISTS = {"en": "eff-long", "de": "ger-long"}
# The lists were made for everybody; whoever reads a receipt here may be the child concerned. These words are not
# shown. They are compared with nothing that anybody writes, and stand here as digests: this file holds no such list.
UNKIND = frozenset(
    "0564a96e4b 0994c814c2 0b02488a99 13bf820502 163f6f755a 178039140a 183f0e54fd 1b9a64868c 1c7bbc8046 "
    "2922336178 2c01b8cfb3 2c84e0563b 302059ed41 3030401668 3107ea0301 34c30ee737 3c5d8b1db2 3fd3b1ff04 "
    "431e876d14 49002d515d 4aa07dda9d 55c4c84f52 58904effcb 5b091bdd85 5e7434f45c 5f1b6c06be 5fd4f2f653 "
    "65cc63a4e1 69e3e87ed7 6d0f3553f0 74c84b065d 74d4fb11dc 775ac85939 7dca86b841 7f6c826b00 8260377e96 "
    "839779340c 83a5c2705b 85880eee1a 889508afe2 8981a7d50d 8b163278fe 8bc324acda 8d74b95969 8dd59e4129 "
    "8ffd593768 967e1a8516 9ae26703e9 a3c4e8e571 a60029e3fd b1a704873b b494b694cb b5e2e1f512 b64c13e3d3 "
    "b6d9e56c88 bc3a71752b bd55caeb68 bdc345b811 bf197ff361 c0d86b61de c3a6483411 c71dbf1ec2 c84f341746 "
    "c8e37b009b ca762bf29d d3c75401b5 d4c7f4d8e4 da0c0b8ad1 df0a15b99c e1d482543b e9cde33db1 eae6a20cd7 "
    "f2d1ba57dd f7383a7396".split()
)


@cache
def word_list(language: str) -> tuple[str, ...]:
    """Only letters: words with a hyphen would be lost between the others when they are typed in again."""
    name = language_of_words(language)
    text = files("xkcdpass").joinpath("static", _LISTS[name]).read_text(encoding="utf-8")
    return tuple(word for word in text.split() if word.isascii() and word.isalpha() and not _is_unkind(word))


def _is_unkind(word: str) -> bool:
    return hashlib.sha256(word.encode()).hexdigest()[:10] in UNKIND


def language_of_words(language: str) -> str:
    """In which language a page of that language shows its words."""
    return language if language in _LISTS else "en"


def make_passphrase(seed: bytes, language: str) -> str:
    """Seven words from a secret seed of at least 16 bytes of chance; the same seed gives the same words.

    So a reporter whose line broke before the receipt came sends the form again and gets that very receipt.
    HMAC-SHA256 stretches the seed; numbers beyond a whole multiple of the list are passed over, so no word is favoured.
    """
    if len(seed) < 16:
        raise ValueError("a seed of fewer than 16 bytes")
    words = word_list(language)
    limit = (1 << 32) // len(words) * len(words)
    chosen: list[str] = []
    counter = 0
    while len(chosen) < WORDS:
        block = hmac.new(seed, b"word %d" % counter, hashlib.sha256).digest()
        number = int.from_bytes(block[:4], "big")
        if number < limit:
            chosen.append(words[number % len(words)])
        counter += 1
    return " ".join(chosen)


def normalize_passphrase(untrusted_text: str) -> str:
    """As it was shown, however it is typed: capitals, accents, hyphens, commas and line breaks do not matter."""
    plain = unicodedata.normalize("NFKD", untrusted_text[:MAX_CHARACTERS]).casefold()
    letters = "".join(sign if sign.isalnum() else " " for sign in plain if not unicodedata.combining(sign))
    return " ".join(letters.split())
