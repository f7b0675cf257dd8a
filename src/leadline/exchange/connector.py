"""What every connector is: pages of records in, acts out, a check of address and credentials. Decides nothing.

A source that hands over its list is pulled; one that only answers questions (a look-up service) is asked. Both check.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from leadline.domain import Entry, Fingerprints
from leadline.errors import ActNotOffered, LeadlineError
from leadline.exchange.base import EntryDefaults

MAX_KEY_CHARS = 1000
_HASHES_ALONE = "this source is asked by hashes alone"
Checkpoint: TypeAlias = Mapping[str, Any]  # of JSON values; only the connector that made it reads it


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Record(msgspec.Struct, frozen=True, gc=False):
    """What a source says of one of its entries now.

    key     the source's own name of the entry, the same for ever; at most 1000 characters
    digest  32 bytes: SHA-256 of the raw record. The same digest means: nothing to do
    entry   with its source, source_id, classification as given (scheme, label), licence, TLP, first and last seen, and
            {"record": hex digest, ...} as metadata; without an id. None: the source withdrew it, or see `kept`
    kept    without an entry: {kind: text} of fingerprints that nobody here can compare, where it holds no others.
            They are kept beside the bank, in the source's folder; `base.kept_texts` bounds them. None: withdrawn
    linked  {kind: link} of fingerprints too large for the page, of a `LargeSource`; kinds as plug-ins are called. Links
            are used at once and never stored
    moment  of a record with such links: when the source last changed it, in seconds since 1970
    """

    key: str
    digest: bytes
    entry: Entry | None
    kept: Mapping[str, str] | None = None
    linked: Mapping[str, str] | None = None
    moment: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of a source's list, applied as a whole.

    records       in the order of the source; of several with one key the last counts
    faults        bad records (ListFormatError) and single bad hashes (HashRefused) with their place; the rest goes on
    checkpoint    where to go on once this page is applied
    unknown       what was kept or passed over since nobody here knows it, with its count: {"fingerprint netclean": 3}
    begins_whole  from this page on the source tells its whole list anew: what it has not told by the last page is gone
    is_last       nothing more is to be had for now
    total         entries of this pull, where the source says so; 0 where not
    """

    records: Sequence[Record]
    checkpoint: Checkpoint
    faults: Sequence[LeadlineError] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    begins_whole: bool = False
    is_last: bool = False
    total: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. identity: who the source says we are ("42 Example Hotline"), empty where it does not say.

    notes  what a person should know: rights that are missing, a test environment, an unverified part of the protocol
    """

    identity: str = ""
    notes: tuple[str, ...] = ()


class Act(StrEnum):
    """What can be sent to a source."""

    SUBMIT = "submit"  # our entry, for its list
    WITHDRAW = "withdraw"  # our entry, from its list
    AFFIRM = "affirm"  # we saw it: it is what its entry says
    DISPUTE = "dispute"  # it is not


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One act. key: the source's name of the entry it is about (empty for a submission). algorithm: of the fingerprint
    that an opinion is about. reasons: the source's own codes. entry: what is submitted or withdrawn."""

    act: Act
    key: str = ""
    algorithm: str = ""
    reasons: tuple[str, ...] = ()
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one act. remote_id: what the source calls it now. error: why it was not taken, else None."""

    outgoing: Outgoing
    remote_id: str = ""
    error: LeadlineError | None = None


class Leaving(StrEnum):
    """What of a look-up may leave beside hashes: the name of the option that switches it on."""

    URLS = "send_urls"
    MEDIA = "send_media"


@dataclass(frozen=True, slots=True)
class Found:
    """A look-up service's answer about one question; classification in its own words, empty where it knows nothing."""

    is_known: bool
    classification: str = ""
    is_exact: bool = False
    details: Mapping[str, str] = field(default_factory=dict)


def from_the_root(path: Path) -> Path:
    """As a source keeps it: a pull may run elsewhere than where the source was set up."""
    return path.expanduser().absolute()


RootedPath = Annotated[Path, AfterValidator(from_the_root)]  # of an option that names a file or a folder


class Options(BaseModel):
    """What a person sets for one source, beside address and defaults. Each connector has its own subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WebOptions(Options):
    """Of a source that is asked over HTTP. ca_file: certificates (PEM) that are trusted instead of the system's."""

    timeout_s: float = Field(60.0, gt=0, le=3600)
    ca_file: RootedPath | None = None


class LargeOptions(WebOptions):
    """Of a source with large fingerprints. large_gb: as many gigabytes of them are kept as files (0: none is fetched);
    large_mb: the largest that is taken."""

    large_gb: float = Field(10.0, ge=0, le=100_000)
    large_mb: int = Field(8, ge=1, le=256)


class Connector(ABC):
    """One source. Cheap to make: nothing is asked before a method is called. `close` when done.

    secret_names   which credentials it needs, by name; optional_secret_names: more, which only some acts need
    act_names      acts that `send` takes
    unverified     parts that follow second-hand descriptions, told by `check` and `exchange list`
    """

    name: ClassVar[str]
    title: ClassVar[str]
    secret_names: ClassVar[tuple[str, ...]] = ()
    optional_secret_names: ClassVar[tuple[str, ...]] = ()
    act_names: ClassVar[frozenset[Act]] = frozenset()
    unverified: ClassVar[tuple[str, ...]] = ()
    options_type: ClassVar[type[Options]] = Options

    def __init__(
        self,
        options: Options,
        secrets: Mapping[str, str],
        defaults: EntryDefaults,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """clock: seconds since 1970; sleep: between tries, so that tests need not wait."""
        self.options, self.secrets, self.defaults = options, secrets, defaults
        self.clock, self.sleep = clock, sleep

    @abstractmethod
    def check(self) -> Checked:
        """Ask whether address and credentials are good. CredentialsRefused, SourceUnavailable, SourceBroken."""

    def send(self, outgoing: Sequence[Outgoing]) -> list[Sent]:
        """Each act's outcome, in order. Raises only where none was tried. Never tries an act twice by itself."""
        raise ActNotOffered("this source takes nothing", where=self.name)

    def close(self) -> None:  # noqa: B027 # most hold nothing open
        """Let go of connections."""


class ListConnector(Connector):
    """A source that hands over its list."""

    @abstractmethod
    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        """Pages from where `checkpoint` says (None: from the beginning), until one is the last.

        A source that was up to date gives one empty last page. Raises ExchangeError where it cannot go on: pages
        before that stand, and a later pull with the last applied page's checkpoint goes on there.
        """

    def confirm(self, checkpoint: Checkpoint) -> None:  # most sources ask for nothing
        """Tell the source that all up to this stored checkpoint is applied here; called after each pull that ended.

        Saying it again is harmless. ExchangeError where it was not heard: the pull stands, the next one says it anew.
        """

    def start_at(self, since_s: int) -> Checkpoint | None:
        """A checkpoint that leaves out what has not changed since then; None where the protocol has no such thing."""
        return None


class LargeSource(ListConnector):
    """A source whose records lead to fingerprints too large for its pages (`Record.linked`)."""

    options: LargeOptions

    @abstractmethod
    def tell_again(self, after_s: int, until_s: int) -> Iterator[Page]:
        """What the source says now of what it last changed after the one second and until the other; as `pull`, but
        for the checkpoint, which is none to go on from."""

    @abstractmethod
    def open_linked(self, link: str, most_bytes: int) -> AbstractContextManager[Readable]:
        """What a link of a record leads to, as a stream. A read gives what has come, so that its reader sees how slow
        that is. ExchangeError; SourceBroken where it leads to another host."""


class LookUpConnector(Connector):
    """A source that answers questions. What leaves is fingerprints, unless the operator switched more on."""

    @abstractmethod
    def look_up(self, asked: Sequence[Fingerprints]) -> list[Found]:
        """One answer each, in order."""

    def require(self, leaving: Leaving) -> None:
        """Raises where such things may not leave: ConfigError (the operator did not switch it on), ActNotOffered."""
        raise ActNotOffered(_HASHES_ALONE, where=self.name)

    def look_up_url(self, url: str) -> Found:
        """What the source finds at this address. UrlFormatError, and as `require`."""
        raise ActNotOffered(_HASHES_ALONE, where=self.name)

    def look_up_media(self, data: bytes, media_type: str) -> Found:
        """The whole file leaves. As `require`."""
        raise ActNotOffered(_HASHES_ALONE, where=self.name)
