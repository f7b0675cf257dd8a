"""The nouns everyone shares: frozen dataclasses and structs, enums. Does nothing, reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

PDQ_BYTES = 32
PDQ_BITS = 256
DEFAULT_RADIUS_BITS = 31  # ThreatExchange pdq/README.md, "Matching": distance <= 31
DEFAULT_QUALITY_FLOOR = 50  # same source: discard quality <= 49
MAX_METADATA_BYTES = 4096
EXACT_ALGORITHMS: Mapping[str, int] = {"md5": 16, "sha1": 20, "sha256": 32}  # name -> digest bytes
EMPTY_FILE_DIGESTS = frozenset(
    bytes.fromhex(h)
    for h in (
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
)


class Kind(StrEnum):
    """What an entry of a bank says of a file, most serious first (the order decides a verdict)."""

    ILLEGAL = "illegal"
    EXPLOITATIVE = "exploitative"
    OTHER = "other"
    FALSE_POSITIVE = "false-positive"
    BENIGN = "benign"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0 labels (first.org/tlp)."""

    RED = "red"
    AMBER_STRICT = "amber+strict"
    AMBER = "amber"
    GREEN = "green"
    CLEAR = "clear"


class PdqFamily(StrEnum):
    """How the picture was sized before PDQ.

    a  to 512x512 first (ThreatExchange's C++ command line, WASM)
    b  not at all: full resolution (pdqhash, HMA, vPDQ)
    """

    A = "a"
    B = "b"


class Transform(StrEnum):
    """The eight dihedral transforms, in the order in which `match.pdq` returns their hashes.

    Rotations are counter-clockwise; flip_x swaps top and bottom, flip_y mirrors left and right,
    flip_plus1 and flip_minus1 mirror along the diagonals (ThreatExchange pdqhashing.h).
    """

    ORIGINAL = "original"
    ROTATE90 = "rotate90"
    ROTATE180 = "rotate180"
    ROTATE270 = "rotate270"
    FLIP_X = "flip_x"
    FLIP_Y = "flip_y"
    FLIP_PLUS1 = "flip_plus1"
    FLIP_MINUS1 = "flip_minus1"


class Verdict(StrEnum):
    KNOWN = "known"
    NEAR = "near"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    SKIPPED = "skipped"


class Isolation(StrEnum):
    """What stood between hostile bytes and the machine when a result was made."""

    FILE = "file"  # one locked child process for this file alone
    BATCH = "batch"  # one locked child process for up to 64 files of one source
    NONE = "none"  # --unsafe-decode


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of a bank. A list of a million makes a million: a Struct is made in a third of a dataclass's time.

    fingerprints  name -> bytes: md5 (16), sha1 (20), sha256 (32), pdq (32), or a plug-in's kind
    id            stable within its bank for ever, 1..2**53-1; None until a bank assigns one
    quality       0..100 of the PDQ hash, or None where the list gave none
    times         seconds since 1970-01-01 UTC
    metadata      JSON text of an object, at most 4096 bytes, opaque to Leadline
    """

    kind: Kind
    fingerprints: Mapping[str, bytes]
    id: int | None = None
    pdq_family: PdqFamily = PdqFamily.B
    quality: int | None = None
    scheme: str = ""
    label: str = ""
    source: str = ""
    source_id: str = ""
    licence: str = ""
    tlp: Tlp = Tlp.AMBER_STRICT
    note: str = ""
    disabled_until: int = 0
    first_seen: int = 0
    last_seen: int = 0
    added: int = 0
    radius_bits: int = 0  # of a false-positive entry: how far around it it acts
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """One fingerprint met one entry of a bank.

    algorithm     md5 | sha1 | sha256 | pdq | a plug-in's name
    distance      bits for pdq, 0 for exact hashes, the plug-in's own measure otherwise
    view          what was hashed: picture | on-white | on-black | frame N
    suppressed_by bank and entry of the false-positive entry that marks this match, or None
    """

    bank: str
    kind: Kind
    entry: int
    algorithm: str
    distance: float
    threshold: float
    list_version: int
    transform: Transform = Transform.ORIGINAL
    view: str = "picture"
    scheme: str = ""
    label: str = ""
    family: str = ""
    suppressed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What was computed from one file: exact digests, and perceptual hashes of each view of its picture."""

    exact: Mapping[str, bytes] = field(default_factory=dict)
    views: tuple[ViewHashes, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewHashes:
    """The perceptual hashes of one view (the picture, a composite of its alpha, a frame).

    pdq       up to 8 hashes of 32 bytes in the order of Transform (1 where transforms were not asked for)
    quality   0..100
    others    plug-in kind -> bytes
    """

    view: str
    family: PdqFamily
    pdq: tuple[bytes, ...]
    quality: int
    width: int
    height: int
    others: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting of the environment: its name, its default as text, and what it means."""

    name: str
    default: str
    meaning: str


WORKBENCH_VARIABLES = (
    Variable("LEADLINE_HOME", "~/.local/share/leadline", "folder of the database, vault, keys and banks"),
    Variable("LEADLINE_ADDRESS", "127.0.0.1:8400", "address of the workbench"),
    Variable("LEADLINE_PUBLIC_ADDRESS", "127.0.0.1:8401", "address of the public report form; off closes it"),
    Variable("LEADLINE_HOSTS", "localhost,127.0.0.1", "names under which the workbench may be called"),
    Variable("LEADLINE_PUBLIC_HOSTS", "localhost,127.0.0.1", "names under which the public form may be called"),
    Variable("LEADLINE_PUBLIC_ONION", "", "onion address of the public form: 56 letters and digits, then .onion"),
    Variable("LEADLINE_PUBLIC_EXIT_URL", "https://www.wikipedia.org/", "where its quick exit leads: a harmless site"),
    Variable("LEADLINE_PUBLIC_HELPLINE", "", "national helpline it names: TEXT, or en=TEXT;fr=TEXT;nl=TEXT;de=TEXT"),
    Variable("LEADLINE_TLS_CERTIFICATE", "", "file of the certificate chain (PEM)"),
    Variable("LEADLINE_TLS_KEY", "", "file of its private key (PEM)"),
    Variable("LEADLINE_PROXY", "", "address of the one TLS proxy that may speak for others"),
    Variable("LEADLINE_WEB_WORKERS", "2", "processes that answer requests"),
    Variable("LEADLINE_KEY_FILE", "HOME/keys/instance.key", "the instance key that wraps every data key"),
    Variable("LEADLINE_KEY_SLOT", "", "NAME:ARGUMENT of an installed key management service, instead of that file"),
    Variable("LEADLINE_SIGNING_KEY_FILE", "HOME/keys/signing.key", "the Ed25519 key that signs the head of the chain"),
    Variable("LEADLINE_VAULT", "HOME/vault", "folder of sealed files, or s3://BUCKET/PREFIX?endpoint=URL"),
    Variable("LEADLINE_ERASURES", "HOME/erasures/list", "the list of erased files, kept apart from vault and backups"),
    Variable("LEADLINE_BANKS", "HOME/banks", "folder of the bank folders"),
    Variable("LEADLINE_BACKUPS", "HOME/backups", "folder that backups are written to"),
    Variable("LEADLINE_ANCHORS", "HOME/anchors", "folder that signed heads of the chain are dropped into"),
    Variable("LEADLINE_ANCHOR_MAIL", "", "addresses of partners that signed heads are mailed to, comma between"),
    Variable("LEADLINE_TIMESTAMP_URLS", "", "RFC 3161 authorities that stamp the head, comma between"),
    Variable("LEADLINE_TIMESTAMP_ROOTS", "", "file of the root certificates of these authorities (PEM)"),
    Variable("LEADLINE_MAIL_URL", "", "smtp, submission (STARTTLS) or smtps://USER:PASSWORD@HOST:PORT; empty: folder"),
    Variable("LEADLINE_MAIL_FROM", "leadline@localhost", "sender of our own mail"),
    Variable("LEADLINE_IMAP_URL", "", "imaps://USER:PASSWORD@HOST/FOLDER that reports are taken from"),
    Variable("LEADLINE_MAIL_DNS", "on", "on: DKIM keys of mails are looked up in the DNS; off: DKIM is not checked"),
    Variable("LEADLINE_MAIL_AUTHSERV_ID", "", "name under which your mail server writes Authentication-Results"),
    Variable("LEADLINE_ALERT_WEBHOOK", "", "URL that urgent alerts are posted to, without content"),
    Variable("LEADLINE_OIDC_ISSUER", "", "OpenID Connect issuer for sign-in"),
    Variable("LEADLINE_OIDC_CLIENT", "", "client id there"),
    Variable("LEADLINE_OIDC_SECRET_FILE", "", "file of the client secret"),
    Variable("LEADLINE_API_RATE", "600", "requests a minute that one key may make"),
    Variable("LEADLINE_WEBHOOK_PRIVATE", "", "private networks that webhooks may reach, comma between"),
    Variable("LEADLINE_METRICS_TOKEN_FILE", "", "file of the token that lets others than this machine read /metrics"),
    Variable("LEADLINE_SEARCH_FIELDS", "reference,source,state,label", "fields whose words are found; docs/search.md"),
    Variable("LEADLINE_OFFICE_NAME", "Leadline", "name of the office, on pages and in mail"),
)
# What LEADLINE_SEARCH_FIELDS may name, and whether its words are sealed elsewhere: then they lie in clear in the index.
SEARCH_FIELDS: Mapping[str, bool] = {
    "reference": False, "source": False, "state": False, "label": False,
    "host": True, "text": True, "note": True, "name": True,
}  # fmt: skip


SEALED: Mapping[str, bool] = {"sealed": True}  # metadata of a field that is stored only under the instance key


class Channel(StrEnum):
    """How a report reached us."""

    PUBLIC_FORM = "public-form"
    STAFF_FORM = "staff-form"
    BULK = "bulk"
    MAIL = "mail"
    API = "api"
    ICCAM = "iccam"
    NCMEC = "ncmec"
    CHAT = "chat"
    CAPTURE = "capture"
    SCAN = "scan"


class Urgency(StrEnum):
    """What a reporter can tick. Always a tick, never read out of a text."""

    CHILD_AT_RISK_NOW = "child-at-risk-now"
    ONGOING = "ongoing"
    KNOWN_VICTIM_CONTACT = "known-victim-contact"  # the reporter can reach, or is, the person concerned
    COMMERCIAL = "commercial"
    SENDER_ESCALATED = "sender-escalated"  # the sending organisation marked its own report as urgent


class ItemKind(StrEnum):
    URL = "url"
    FILE = "file"
    ACCOUNT = "account"
    TEXT = "text"
    HASH = "hash"


@dataclass(frozen=True, slots=True)
class IncomingItem:
    """One thing a report points at, as its sender wrote it; `selectors` makes the normalised key.

    value     the URL, account name, hash, text or file name, unchanged
    referrer  the page on which the sender met it
    facts     what else the sender said of it: name -> JSON value, under the sender's own names
    """

    kind: ItemKind
    value: str
    note: str = field(default="", repr=False, metadata=SEALED)
    referrer: str = ""
    facts: Mapping[str, object] = field(default_factory=dict, repr=False, metadata=SEALED)


@dataclass(frozen=True, slots=True)
class Reporter:
    """How the reporter can be reached, where they said so; every field is sealed."""

    name: str = field(default="", repr=False, metadata=SEALED)
    organisation: str = field(default="", repr=False, metadata=SEALED)
    email: str = field(default="", repr=False, metadata=SEALED)
    phone: str = field(default="", repr=False, metadata=SEALED)


@dataclass(frozen=True, slots=True)
class IncomingReport:
    """One report as it came in, before anything is stored or decided.

    source_reference  the sender's own number; with the sender it tells a repeated delivery
    received_at, made_at   seconds since 1970-01-01 UTC, 0 where not said: when we (or the sender's own intake)
                      received it, and the moment it speaks of
    attachments       names only; the bytes go their own way, through the sandbox
    facts             what the sender said beyond these fields: name -> JSON value, under the sender's names
    """

    channel: Channel
    items: tuple[IncomingItem, ...] = ()
    source_reference: str = ""
    received_at: int = 0
    made_at: int = 0
    reporter: Reporter | None = None
    urgency: frozenset[Urgency] = frozenset()
    text: str = field(default="", repr=False, metadata=SEALED)
    attachments: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict, repr=False, metadata=SEALED)
