"""What a service is started with. Reads nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from leadline.domain import Tlp
from leadline.errors import ConfigError
from leadline.media.limits import Limits

_WIDTH = {Tlp.CLEAR: 0, Tlp.GREEN: 1, Tlp.AMBER: 2, Tlp.AMBER_STRICT: 3}  # RED is not there: it never leaves


@dataclass(frozen=True, slots=True)
class Publication:
    """A bank that subscribers may read. tlp: the strictest label that the agreement with them lets out."""

    bank: str
    tlp: Tlp = Tlp.GREEN

    @property
    def admitted(self) -> frozenset[Tlp]:
        """The labels of entries that may leave. RED is never among them."""
        return frozenset(tlp for tlp, width in _WIDTH.items() if width <= _WIDTH[self.tlp])


def read_publication(text: str) -> Publication:
    """`BANK` or `BANK=TLP`, as `--publish` takes it. ConfigError."""
    bank, _, label = text.rpartition("=")
    if not bank:
        return Publication(text)
    if label.lower() not in _WIDTH:
        mend = f"give {bank}=LABEL, one of {', '.join(_WIDTH)}"
        raise ConfigError("no label that a published bank can have", where=text[:100], mend=mend)
    return Publication(bank, Tlp(label.lower()))


@dataclass(frozen=True, slots=True)
class Options:
    """One process's share is told by `workers`: rates of a token, and the variations that
    make a probing alarm, are divided by it.

    banks        folders of banks
    shelf        a folder of bank folders: all of them, also those that are made later; None: only `banks`
    state        folder of tokens, settings of banks, the match log and alarms
    no_token     anybody who reaches the address may do everything but change banks
    threads      of one search of a long list
    hashers      decoding processes of one worker; each hashes one file at a time. 0: no file can be hashed
    hash_queue   files that may wait in one worker for a decoder; while more do, uploads are told to come again
    held_bytes   memory of one worker for all uploads at once, by what they say that they will send
    in_flight    requests that one worker works on at once; more are told to come again
    queued_hashes    of long lists that one worker searches or lets wait; more are told to come again
    per_minute   requests a minute that one token may make where it names no rate of its own
    max_body_bytes    of one body or one part; max_upload_bytes of all parts of one request
    log_days     how long the match log is kept
    log_hashes   whole hashes in the match log, instead of their first eight digits
    flood_*      an entry floods that met `least` and the share `share` of the look-ups of the last `window_s`
    source       s3://BUCKET/PREFIX or a folder that banks are pulled from onto the shelf
    ray          address of a Ray cluster; then each of `banks` is a shard, and each of `shards`, folders of banks, too
    sources      folder where `leadline exchange` keeps its sources: HMA's clients are told of them. None: of none
    publish      banks that subscribers may read (`/ncmec/`, `/feed/`), each with how much of it may leave
    fetch_urls   whether addresses may be fetched at all; `fetch_private` networks that may be reached all the same
    """

    banks: tuple[Path, ...] = ()
    shelf: Path | None = None
    state: Path = Path("service")
    no_token: bool = False
    workers: int = 1
    threads: int = 1
    hashers: int = 0
    hash_queue: int = 64
    held_bytes: int = 1 << 30
    radius_bits: int | None = None
    in_flight: int = 512
    queued_hashes: int = 100_000
    per_minute: int = 600_000
    max_body_bytes: int = 64 << 20
    max_upload_bytes: int = 256 << 20
    body_timeout_s: float = 30.0
    log_days: int = 30
    log_hashes: bool = False
    flood_window_s: float = 60.0
    flood_share: float = 0.05
    flood_least: int = 50
    fetch_urls: bool = False
    fetch_private: tuple[str, ...] = ()
    proxy: str = ""
    source: str = ""
    ray: str = ""
    shards: tuple[Path, ...] = ()
    sources: Path | None = None
    publish: tuple[Publication, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def shard_folders(self) -> tuple[tuple[Path, bool], ...]:
        """With `ray`: the folder of each shard, and whether it is that of one bank."""
        return (*((bank, True) for bank in self.banks), *((shard, False) for shard in self.shards))
