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
# shown. They are compared with nothing that anybody writes.
UNKIND = {
    "en": frozenset(
        "ashamed blame bullwhip captivate captive captivity caress childcare childhood childish childless childlike "
        "cradle crib cruelly cruelness cruelty disobey filth fondling fondly groom grope harmful hurt juvenile lure "
        "nanny pantyhose preteen provoke punisher shame slapping thigh uncle undead underage underwear undress "
        "unharmed unzip".split()
    ),
    "de": frozenset(
        "angst aufopfern babybett babypuppen blutig blutjung brust ermorden geopfert gepeinigt gewalt halbnackt intim "
        "jugend kinder kindgerecht kindheit kindisch leiden lustvoll mutter nackt notleidend opfer peinigen scham "
        "sterben strafen umkleiden urgewalt vater wollust".split()
    ),
}


@cache
def word_list(language: str) -> tuple[str, ...]:
    """Only letters: words with a hyphen would be lost between the others when they are typed in again."""
    name = language_of_words(language)
    text = files("xkcdpass").joinpath("static", _LISTS[name]).read_text(encoding="utf-8")
    return tuple(word for word in text.split() if word.isascii() and word.isalpha() and word not in UNKIND[name])


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
