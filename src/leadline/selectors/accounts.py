"""Profile links -> service and account name. Knows the form of public profile addresses; looks nobody up."""

from __future__ import annotations

import re
from dataclasses import dataclass

from leadline.selectors.url import CanonicalUrl


@dataclass(frozen=True, slots=True)
class Profile:
    """An account named by its link: `service` is the registrable domain of the service, `name` as written."""

    service: str
    name: str


_NAME = r"([A-Za-z0-9_.-]{2,64})"
# Registrable domain -> the service's own name for it, form of the path of a profile, first parts that are none.
_FORMS: dict[str, tuple[str, re.Pattern[str], frozenset[str]]] = {
    domain: (service, re.compile(form), frozenset(reserved.split()))
    for domain, service, form, reserved in (
        ("t.me", "telegram", rf"/(?:s/)?{_NAME}/?", "joinchat addstickers share proxy socks iv s c"),
        ("telegram.me", "telegram", rf"/(?:s/)?{_NAME}/?", "joinchat addstickers share proxy socks iv s c"),
        ("x.com", "x", rf"/{_NAME}/?", "home i search explore settings login intent share hashtag tos privacy"),
        ("twitter.com", "x", rf"/{_NAME}/?", "home i search explore settings login intent share hashtag tos privacy"),
        ("instagram.com", "instagram", rf"/{_NAME}/?", "p reel reels explore accounts stories direct about"),
        ("tiktok.com", "tiktok", rf"/@{_NAME}/?", ""),
        ("youtube.com", "youtube", rf"/@{_NAME}/?", ""),
        ("reddit.com", "reddit", rf"/(?:u|user)/{_NAME}/?", ""),
        ("snapchat.com", "snapchat", rf"/add/{_NAME}/?", ""),
        ("twitch.tv", "twitch", rf"/{_NAME}/?", "directory videos settings downloads jobs p"),
        ("facebook.com", "facebook", rf"/{_NAME}/?", "profile.php groups watch photo share sharer login pages events"),
        ("vk.com", "vk", rf"/{_NAME}/?", "feed im groups video photos login search"),
    )
}


def profile_of(url: CanonicalUrl) -> Profile | None:
    """The account that a link names, or None where it names something else or the service is not known here."""
    form = _FORMS.get(url.registrable_domain or "")
    if form is None:
        return None
    service, path, reserved = form
    found = path.fullmatch("/" + url.key[2:].partition("/")[2].partition("?")[0].partition("#")[0])
    return None if found is None or found[1].lower() in reserved else Profile(service, found[1])
