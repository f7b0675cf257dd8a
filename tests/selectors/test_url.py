"""Canonical URLs and their keys."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leadline.errors import UrlFormatError
from leadline.selectors.host import Network
from leadline.selectors.url import MAX_URL_CHARS, UrlFlag, canonical_url

# Golden values: web-platform-tests, url/resources/urltestdata.json, as in ada-url/ada at 308110b2 (BSD-3-Clause);
# those whose input has user names, invisible signs or marks around it are left out: there we differ on purpose.
WPT = [
    ("http://example.com/foo/bar/../ton/../../a", "http://example.com/a"),
    ("http://example.com/foo/%2e./%2e%2e/.%2e/%2e.bar", "http://example.com/%2e.bar"),
    ("http://example.com////../..", "http://example.com//"),
    ("http://example.com/foo%41%7a", "http://example.com/foo%41%7a"),
    ("http://example.com/foo\tbar", "http://example.com/foobar"),
    ("http://example.com/你好你好", "http://example.com/%E4%BD%A0%E5%A5%BD%E4%BD%A0%E5%A5%BD"),
    ("http:\\\\www.google.com\\foo", "http://www.google.com/foo"),
    ("http://foo:80/", "http://foo/"),
    ("http://foo:81/", "http://foo:81/"),
    ("https://foo:443/", "https://foo/"),
    ("https:example.com/", "https://example.com/"),
    ("https://faß.ExAmPlE/", "https://xn--fa-hia.example/"),
    ("https://%e2%98%83", "https://xn--n3h/"),
    ("http://a.b.c.XN--pokxncvks", "http://a.b.c.xn--pokxncvks/"),
    ("http://192.0x00A80001", "http://192.168.0.1/"),
    ("https://0x.0x.0", "https://0.0.0.0/"),
    ("https://0000000000000000000000000000000000000000177.0.0.1", "https://127.0.0.1/"),
    ("http://[1:0:1:0:1:0:1:0]", "http://[1:0:1:0:1:0:1:0]/"),
    ("http://example.org/test?%GH", "http://example.org/test?%GH"),
    ("http://host/?'", "http://host/?%27"),
    ("http://ho\nst/", "http://host/"),
]
WPT_FAILURES = [
    "http://a b/", "http://a%b/", "http://ho%00st/", "https://256.0.0.1/test", "http://1.2.3.08", "http://foo.0x4",
    "https://0x100000000/test", "https://[0::0::0]", "http://?", "https://x x:12", "http://foo:-80/",
    "https://example.com%80/", "https://\ufffd",
]  # fmt: skip
# Tor, rend-spec-v3: example addresses
ONIONS = [
    "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd",
    "sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd",
    "xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd",
]


@pytest.mark.golden
@pytest.mark.parametrize(("text", "href"), WPT)
def test_it_serialises_as_the_standards_own_tests_say(text: str, href: str) -> None:
    assert canonical_url(text).href == href


@pytest.mark.golden
@pytest.mark.parametrize("text", WPT_FAILURES)
def test_it_refuses_what_the_standards_own_tests_refuse(text: str) -> None:
    with pytest.raises(UrlFormatError) as caught:
        canonical_url(text)
    assert caught.value.mend
    assert text not in str(caught.value)


SAME = [
    ("https://example.org/a?b=2", "hxxps://EXAMPLE[.]org:443/x/../a?utm_source=n&b=2&fbclid=IwAR#top"),
    ("https://example.org/a", "http://example.org/a"),
    ("https://example.org/a", "example.org/a"),
    ("https://example.org/a", "//example.org/a"),
    ("https://example.org/a", "http://user:secret@example.org:80/a"),
    ("https://example.org/a", "https://example.org./a"),
    ("https://example.org/", "example.org"),
    ("https://example.org/", "https://example.org/?utm_campaign=x"),
    ("https://example.org/", "https://example.org/?"),
    ("https://example.org/~a/%C3%A9", "https://example.org/%7Ea/%c3%a9"),
    ("https://example.org/a", "https://example.org/a#:~:text=b/c"),
    ("https://xn--mnchen-3ya.de/", "https://münchen.de"),
    ("http://192.0.2.7/", "http://0xc0.0.2.7"),
    ("http://192.0.2.7/", "http://3221225991"),
    ("https://www.youtube.com/watch?v=1", "https://www.youtube.com/watch?v=1&si=2"),
    ("https://example.org/?mc_eid=1", "https://example.org/?M%43_EID=2"),
]
DIFFERENT = [
    ("https://example.org/", "https://www.example.org/"),
    ("https://example.org/a", "https://example.org/A"),
    ("https://example.org/a", "https://example.org/a/"),
    ("https://example.org/?a=1&b=2", "https://example.org/?b=2&a=1"),
    ("https://example.org/?a=1", "https://example.org/?a=1&a=1"),
    ("https://example.org/", "https://example.org:8443/"),
    ("https://example.org/#/a", "https://example.org/#/b"),
    ("https://example.org/#!a", "https://example.org/#!b"),
    ("https://example.org/%2Fa", "https://example.org//a"),
    ("https://example.org/?si=1", "https://example.org/?si=2"),
    ("https://example.org/?q=utm_source", "https://example.org/?q="),
    ("ftp://example.org/a", "https://example.org/a"),
    ("magnet:?xt=urn:btih:aa", "magnet:?xt=urn:btih:ab"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_place_have_one_key(one: str, other: str) -> None:
    assert canonical_url(one).key == canonical_url(other).key


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_may_be_two_places_has_two_keys(one: str, other: str) -> None:
    assert canonical_url(one).key != canonical_url(other).key


def test_the_href_keeps_what_the_key_leaves_out() -> None:
    url = canonical_url("http://user:secret@example.org/a?utm_source=n&b=2&fbclid=z#top")
    assert url.href == "http://example.org/a?utm_source=n&b=2&fbclid=z#top"
    assert url.key == "//example.org/a?b=2"
    assert url.removed_parameters == ("utm_source", "fbclid")
    assert (url.username, url.password) == ("user", "secret")
    assert UrlFlag.CREDENTIALS in url.flags
    assert "secret" not in repr(url)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("https://example.org/", set()),
        ("example.org", {UrlFlag.SCHEME_ASSUMED}),
        ("http://0x7f.1/", {UrlFlag.IP_HOST, UrlFlag.NOT_PUBLIC}),
        ("http://9.9.9.9/", {UrlFlag.IP_HOST}),
        ("http://[::ffff:10.0.0.1]/", {UrlFlag.IP_HOST, UrlFlag.NOT_PUBLIC}),
        ("http://localhost/", {UrlFlag.NOT_PUBLIC, UrlFlag.UNKNOWN_SUFFIX}),
        ("http://host.nosuchsuffix/", {UrlFlag.UNKNOWN_SUFFIX}),
        ("https://münchen.de/", {UrlFlag.IDN}),
        ("https://ex\u0430mple.org/", {UrlFlag.IDN, UrlFlag.MIXED_SCRIPT}),  # Cyrillic a
        ("https://東京タワー.jp/", {UrlFlag.IDN}),
        ("https://пример.com/", {UrlFlag.IDN}),
        (f"http://{ONIONS[0]}.onion/", set()),
        (f"http://www.{ONIONS[1]}.onion/", set()),
        (f"http://{ONIONS[2][:-1]}e.onion/", {UrlFlag.ONION_CHECKSUM}),
        ("http://" + "a" * 16 + ".onion/", {UrlFlag.ONION_V2}),
        ("http://example.onion/", {UrlFlag.ONION_CHECKSUM}),
        ("http://example.i2p/", set()),
    ],
)
def test_it_says_what_a_person_should_see_first(text: str, flags: set[UrlFlag]) -> None:
    assert set(canonical_url(text).flags) == flags


@pytest.mark.golden
@pytest.mark.parametrize("label", ONIONS)
def test_one_wrong_letter_in_an_onion_address_is_found(label: str) -> None:
    assert canonical_url(f"http://{label}.onion").flags == frozenset()
    for place in range(len(label)):
        letter = "a" if label[place] != "a" else "b"
        wrong = label[:place] + letter + label[place + 1 :]
        assert UrlFlag.ONION_CHECKSUM in canonical_url(f"http://{wrong}.onion").flags


@pytest.mark.parametrize(
    ("text", "network", "domain"),
    [
        ("https://a.b.example.co.uk/", Network.CLEARNET, "example.co.uk"),
        ("https://tenant.github.io/", Network.CLEARNET, "tenant.github.io"),
        ("https://co.uk/", Network.CLEARNET, None),
        ("http://192.0.2.7/", Network.CLEARNET, None),
        (f"http://www.{ONIONS[0]}.onion/", Network.ONION, f"{ONIONS[0]}.onion"),
        ("http://a.example.i2p/", Network.I2P, "example.i2p"),
        ("http://" + "a" * 52 + ".b32.i2p/", Network.I2P, "a" * 52 + ".b32.i2p"),
    ],
)
def test_it_names_the_network_and_who_registered_the_name(text: str, network: Network, domain: str | None) -> None:
    url = canonical_url(text)
    assert (url.network, url.registrable_domain) == (network, domain)
    assert url.is_onion == (network is Network.ONION)


def test_a_host_is_given_in_both_forms() -> None:
    url = canonical_url("https://xn--mnchen-3ya.de/")
    assert (url.host_ascii, url.host_unicode) == ("xn--mnchen-3ya.de", "münchen.de")
    assert canonical_url("https://xn--a.org/").host_unicode == "xn--a.org"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("data:image/png;base64,AAAA", "url-holds-content"),
        ("DATA:,x", "url-holds-content"),
        ("javascript:alert(1)", "url-no-place"),
        ("mailto:a@example.org", "url-no-place"),
        ("file:///etc/hosts", "url-no-place"),
        ("blob:https://example.org/1", "url-no-place"),
        ("no url at all", "url-format"),
        ("", "url-format"),
        ("https://example.org/" + "a" * MAX_URL_CHARS, "url-too-long"),
    ],
)
def test_what_names_no_place_is_refused_without_being_repeated(text: str, code: str) -> None:
    with pytest.raises(UrlFormatError) as caught:
        canonical_url(text)
    assert caught.value.code == code
    assert "AAAA" not in str(caught.value)


_signs = st.sampled_from(
    [*"aZé0./?#%&=:@!$'()*+,;[]{}|\\^~_-<>\"` \t\u200b\u200c\u0430中", "%2e", "%41", "utm_a="]
)
_texts = st.lists(_signs, max_size=25).map("".join)
_hosts = st.sampled_from(
    ["example.org", "münchen.de", "0x7f.1", "[::1]", "a.example.org.", "localhost", "x..y", "1.2.3"]
)
_schemes = st.sampled_from(
    ["http://", "https://", "hxxps[:]//", "ftp://", "ws://", "ipfs://", "", "//", "magnet:?", "a:"]
)


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(_schemes, st.one_of(_hosts, _texts), st.sampled_from(["", "/", ":80", ":443/", ":8080?"]), _texts)
def test_a_canonical_url_is_its_own_canonical_url(scheme: str, host: str, port: str, tail: str) -> None:
    try:
        once = canonical_url(scheme + host + port + tail)
    except UrlFormatError:
        assume(False)
    for text in (once.href, once.key):
        again = canonical_url(text)
        assert again.key == once.key
    assert canonical_url(once.href).href == once.href


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_named_error(text: str) -> None:
    with contextlib.suppress(UrlFormatError):
        assert canonical_url(text).key
