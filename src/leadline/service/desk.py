"""What all endpoints of one worker share, and what happens to every answer before it is told. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from leadline.client.packed import Asked
from leadline.custody.storage import Storage, open_storage
from leadline.errors import ConfigError, LeadlineError, ShardLost
from leadline.match.policy import MatchAnswer
from leadline.service.acts import Acts
from leadline.service.batcher import Batcher, FileQuery, Query
from leadline.service.clock import Clock
from leadline.service.counters import Counters
from leadline.service.curation import Curation
from leadline.service.feed import Feed
from leadline.service.fetching import Fetcher
from leadline.service.hashing import Hashers
from leadline.service.hma_state import HmaState
from leadline.service.lists import Lists, Opened
from leadline.service.mirror import pull
from leadline.service.options import Options
from leadline.service.part import Told, draw_hidden, leave_out
from leadline.service.publications import Publications
from leadline.service.searching import Searching
from leadline.service.settings import Settings
from leadline.service.tokens import Token
from leadline.service.watch import Watch

_SEARCHERS, _CLERKS = 4, 8
log = logging.getLogger("leadline.service")


class Desk:
    """clerks: threads for files. woken: set where a change need not wait for the next look.
    faults: what is wrong beside the banks, by what it is about; warnings: what is wrong and touches no answer."""

    def __init__(self, options: Options, lists: Lists, counters: Counters) -> None:
        self.options, self.lists, self.counters = options, lists, counters
        self.settings = Settings(options.state)
        self.searchers = ThreadPoolExecutor(_SEARCHERS, thread_name_prefix="search")
        self.searching = Searching(self.searchers, options.queued_hashes)
        self.batcher = Batcher(lists, self.searchers)
        self.clerks = ThreadPoolExecutor(_CLERKS, thread_name_prefix="clerk")
        self.tellers = ThreadPoolExecutor(2, thread_name_prefix="tell")  # clerks may all wait for a bank's lock
        self.refresher = ThreadPoolExecutor(1, thread_name_prefix="refresh")  # never waits behind a search
        self.hashers, self.fetcher = Hashers(options), Fetcher(options)
        self.hma = HmaState(options.state)
        self.watch = Watch(options, lists, self.searchers, counters.worker)
        self.acts = Acts(options.state, clock=Clock())
        self.curation = Curation(lists, self.acts, forget=self._forget)
        self.feed, self.woken = Feed(), asyncio.Event()
        self.publications = Publications(options.publish)
        self.publisher = ThreadPoolExecutor(1, thread_name_prefix="publish")  # a long list takes it seconds
        self._storage: Storage | None = None
        self.faults: dict[str, LeadlineError] = {}
        self.warnings: dict[str, str] = {}
        self._versions: tuple[Opened, frozenset[str], bytes] | None = None
        self._lines_lost = 0
        self._announced: tuple[object, object] = (None, None)
        self.take_settings()

    @property
    def flooding(self) -> frozenset[tuple[str, int]]:
        """Bank and entry of those that match far more than entries do; they are marked, never left out."""
        return self.watch.flooding

    def take_settings(self) -> None:
        """After settings changed: banks that are off are not searched any more."""
        self.lists.leave_out(self.settings.switched_off)

    def pull(self) -> None:
        """Banks from `options.source` onto the shelf. What goes wrong is a fault until it goes well again."""
        try:
            if self._storage is None:
                self._storage = open_storage(self.options.source)
            pull(self._storage, self.lists.shelf)
        except LeadlineError as error:
            self.faults["source"] = error
        else:
            self.faults.pop("source", None)

    def versions(self) -> bytes:
        """Name -> list version of the banks that answers may name, as JSON."""
        opened, silent = self.lists.opened, self.settings.silent
        known = self._versions
        if known is None or known[0] is not opened or known[1] != silent:
            told = {name: version for name, version in opened.versions.items() if name not in silent}
            self._versions = known = opened, silent, msgspec.json.encode(told)
        return known[2]

    def tell(
        self,
        token: Token,
        query: Query | FileQuery,
        answer: MatchAnswer | None,
        *,
        seed: str | None = None,
        draw: bool = True,
        route: str = "match",
        among: int = 1,
    ) -> MatchAnswer:
        """The answer as this token is told it: without the banks that are off, in shadow, or out of this look-up.

        seed   makes the ratios of banks decide the same each time
        draw   False: ratios decide nothing, every enabled bank is in
        route  for the log
        among  hashes that were asked for at once
        """
        assert answer is not None
        self.watch.see(token, query, bool(answer.matches), among)
        if not answer.matches and not answer.reasons:
            return answer
        return self._tell_met(token, query, answer, seed, draw, route)

    def tell_rows(self, token: Token, asked: Asked, found: Mapping[int, MatchAnswer]) -> dict[int, MatchAnswer]:
        """The same for a packed list: answers by number of the hash, of those that met anything."""
        self.watch.see_rows(token, asked, found)
        if not self.settings.special:  # nothing is left out: they are noted together, at half the cost
            met = Counter(bank for answer in found.values() for bank in {match.bank for match in answer.matches})
            for bank, count in met.items():
                self.counters.count("leadline_matches", bank, by=count)
            self.watch.keep_rows(token, asked, found)
            return dict(found)
        told = {}
        for at, answer in found.items():
            query = Query(asked.algorithm, asked.rows[at].tobytes(), None, asked.radius_bits)
            told[at] = self._tell_met(token, query, answer, None, True, "match")
        return told

    def _tell_met(
        self, token: Token, query: Query | FileQuery, answer: MatchAnswer, seed: str | None, draw: bool, route: str
    ) -> MatchAnswer:
        told = Told(answer)
        if self.settings.special:
            told = leave_out(self.lists, query, answer, draw_hidden(self.settings.special, seed, draw=draw))
        for bank in {match.bank for match in told.answer.matches}:
            self.counters.count("leadline_matches", bank)
        for bank in {match.bank for match in told.shadowed}:
            self.counters.count("leadline_shadow_matches", bank)
        self.watch.keep(token, route, query, told)
        return told.answer

    def announce_changes(self) -> None:
        """To whoever listens, where banks or what they may be told of changed."""
        now = self.lists.opened, self.settings.special
        if now[0] is not self._announced[0] or now[1] is not self._announced[1]:
            self._announced = now
            self.feed.announce()

    def note_alarms(self) -> None:
        """About once a second."""
        self.watch.note_alarms()
        trouble, lost = self.watch.log.trouble, self.watch.log.lost
        self.counters.count("leadline_log_lost", by=lost - self._lines_lost)
        self._lines_lost = lost
        self.counters.set("leadline_log_failing", float(bool(trouble)))
        if trouble:
            self.warnings["match log"] = trouble
        else:
            self.warnings.pop("match log", None)

    async def look_for(self, name: str) -> None:
        """A bank that another worker made this moment is looked for once, and its settings with it."""
        if name not in self.lists.opened.versions:
            await asyncio.get_running_loop().run_in_executor(self.refresher, self.refresh)

    # --- in a thread -----------------------------------------------------------------------------------------------

    def refresh(self) -> dict[str, int]:
        """Pick up what others changed: banks and their settings. As `Lists.refresh`."""
        try:
            self.settings.refresh()
            self.hma.refresh()
            self.take_settings()
            self.faults.pop("settings", None)
        except (LeadlineError, OSError) as error:
            self.faults["settings"] = error if isinstance(error, LeadlineError) else ConfigError("cannot be read")
        changed = self.lists.refresh()
        if self.lists.is_remote and not any(isinstance(error, ShardLost) for error in self.lists.faults.values()):
            self._settle()
        return changed

    def _settle(self) -> None:
        """What was begun with whole banks on shards, while one of them was lost."""
        try:
            self.curation.settle()
            self.faults.pop("banks on shards", None)
        except LeadlineError as error:
            self.faults["banks on shards"] = error
        except OSError:
            self.faults["banks on shards"] = ConfigError("cannot be kept")

    def _forget(self, bank: str) -> None:
        """What is kept here under a name that is no bank's any more."""
        self.settings.forget(bank)
        self.hma.forget(bank)

    def publish(self) -> None:
        """Bring what subscribers are told to what the banks are. What is wrong touches no answer about matches."""
        faults = self.publications.settle(self.lists)
        for publication in self.options.publish:
            about, fault = f"publication of {publication.bank}", faults.get(publication.bank)
            if fault is None:
                self.warnings.pop(about, None)
            else:
                self.warnings[about] = fault.code

    def raise_alarms(self) -> list[str]:
        """Write what was noted; the kind of each alarm that is new. What the disk refuses is tried again."""
        try:
            kinds = [str(alarm.kind) for alarm in self.watch.alarms.raise_noted()]
            self.warnings.pop("alarms", None)
        except (LeadlineError, OSError) as error:
            self.warnings["alarms"] = error.code if isinstance(error, LeadlineError) else str(error.strerror)
            return []
        return kinds

    def prune(self) -> None:
        """Forget idempotency keys that are old. What the disk refuses is tried again an hour later."""
        try:
            self.acts.repeats.prune()
        except OSError as error:
            log.warning("old idempotency keys were not removed: %s", error.strerror)

    def close(self) -> None:
        self.fetcher.close()
        self.hashers.close()
        for pool in (self.searchers, self.clerks, self.tellers, self.refresher, self.publisher):
            pool.shutdown(wait=True)
        self.watch.close()
