"""`leadline exchange pull`: what sources tell, into their banks. Decides nothing of an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.exchange_setup import error_record, open_subscriptions, parse_moment, with_libraries
from leadline.cli.exchange_status import LARGE_REASONS
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, EXIT_PARTLY, Faults, complain, emit, say, table
from leadline.cli.progress import PullProgress
from leadline.errors import BankError, ConfigError, LeadlineError
from leadline.subscriptions.folder import Subscriptions

if TYPE_CHECKING:
    from leadline.subscriptions.large import Fetched


def pull_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of sources.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every source that is set up and gives a list.")] = False,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="MOMENT", help="First pull only: leave out what has not changed since then (ISO 8601)."
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fetch and count; change no bank, no status.")] = False,
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="Remove entries although a whole list lost more than half of them.")
    ] = False,
    json: Json = False,
) -> int:
    """Pull lists: new entries are added, changed ones replaced, withdrawn ones removed, in each source's own bank.

    It goes on where the last pull ended. Stop it at any moment: the next one ends with the same bank. A change
    matches at once, in every process that has the bank open. For each source told = added + changed + withdrawn +
    same + left out + absent + kept + refused. Where much has changed, a merge is started in the background.

    After its list come a source's large fingerprints, for five minutes of a pull at most. What is missing of them is
    said on standard error, comes with a later pull, and makes no other exit code.

    \b
    Examples:
      leadline exchange pull hotline
      leadline exchange pull --all --json
      leadline exchange pull hotline --dry-run
      leadline exchange pull hotline --since 2026-01-01

    Exit codes: 0 all pulled, 1 none, 3 some sources failed, some records were refused, or a receipt was not
    confirmed: that list is here, and the next pull sends its receipt again.
    """
    subscriptions, since_s = open_subscriptions(), parse_moment(since) if since else None
    chosen, records = _chosen(subscriptions, names, every=every), list[dict[str, Any]]()
    for name in chosen:
        record = _pull(subscriptions, name, since_s=since_s, is_dry=dry_run, allow_shrink=allow_shrink)
        records.append(record)
        if json:
            emit(record)
        else:
            say(*_lines(record))
    done = [record for record in records if record["ok"]]
    if not done:
        return EXIT_NOTHING
    is_whole = len(done) == len(records) and not any(
        r["refused"] or r["refused_hashes"] or r["unconfirmed"] for r in done
    )
    return EXIT_DONE if is_whole else EXIT_PARTLY


def _chosen(subscriptions: Subscriptions, names: list[str] | None, *, every: bool) -> list[str]:
    if every == bool(names):
        raise ConfigError("which sources?", where="leadline exchange pull", mend="name them, or give --all")
    for name in names or ():
        subscriptions.path(name)  # a name that is none is told before anything is pulled
    found = names or [name for name in subscriptions.names() if subscriptions.get(name).bank]
    if not found:
        raise ConfigError("no source is set up", where="--all", mend="see `leadline exchange add --help`")
    return list(dict.fromkeys(found))


def _pull(
    subscriptions: Subscriptions, name: str, *, since_s: int | None, is_dry: bool, allow_shrink: bool
) -> dict[str, Any]:
    with with_libraries():
        from leadline.subscriptions.pulling import COUNTS, Wish, pull_source
    wish = Wish(since_s=since_s, is_dry=is_dry, allow_shrink=allow_shrink)
    try:
        with PullProgress(name) as progress:
            outcome = pull_source(subscriptions, name, wish, say=progress.show)
    except LeadlineError as error:
        complain(error, name)
        return {"name": name, "ok": False, "is_dry": is_dry, "error": error_record(error)}
    faults = Faults(name)
    for fault in outcome.faults:
        faults.note(fault)
    faults.finish(outcome.refused + outcome.refused_hashes)
    counts = {of: getattr(outcome, of) for of in COUNTS}
    record = {"name": name, "ok": True, "is_dry": is_dry, "is_complete": outcome.is_complete, **counts}
    record |= {"unknown": dict(outcome.unknown), "reasons": dict(outcome.reasons), "unconfirmed": None}
    record["large"] = _large_record(outcome.large, name)
    if outcome.unconfirmed is not None:
        complain(outcome.unconfirmed, name)
        record["unconfirmed"] = error_record(outcome.unconfirmed)
    return record | ({} if is_dry else _bank_fields(subscriptions.get(name).bank))


def _large_record(fetched: Fetched, name: str) -> dict[str, Any]:
    """What is missing is said loudly: the rest of a pull went well without it."""
    if fetched.missing:
        why = LARGE_REASONS.get(fetched.stopped, fetched.stopped) or "see the next lines"
        mend = "they come with a later pull"
        if fetched.stopped in ("switched-off", "storage-full"):
            mend = f"leadline exchange set {name} --option large_gb=GIGABYTES, then pull"
        complain(BankError(f"{fetched.missing} large fingerprints are missing: {why}", mend=mend), name)
    for fault in fetched.faults:
        complain(BankError(f"large fingerprint {fault}"), name)
    return {"held": fetched.kept, "failed": fetched.failed, "missing": fetched.missing, "stopped": fetched.stopped}


def _bank_fields(path: str) -> dict[str, Any]:
    from pathlib import Path

    from leadline.match.bank import Bank

    bank = Bank.open(Path(path))
    merging = bank.merge_in_background() is not None
    return {"bank": path, "entries": bank.count, "list_version": bank.list_version, "merging": merging}


def _lines(record: dict[str, Any]) -> list[str]:
    if not record["ok"]:
        return [f"{record['name']}: failed: {record['error']['what']}"]
    head = f"{record['name']}: would be" if record["is_dry"] else f"{record['name']}: pulled"
    if record["unconfirmed"]:
        head += "; receipt not confirmed: the next pull sends it again"
    left = {"name", "ok", "is_dry", "is_complete", "unconfirmed", "large"}
    rows = [(of.replace("_", " "), _told(value)) for of, value in record.items() if of not in left]
    large = {of: count for of, count in record["large"].items() if count}
    rows += [("large", ", ".join(f"{of} {count}" for of, count in large.items()))] if large else []
    ended = [] if record["is_complete"] else ["  the source ended before its list did: pull again"]
    return [head, *(f"  {line}" for line in table(rows)), *ended]


def _told(value: object) -> object:
    return ", ".join(f"{name} {count}" for name, count in value.items()) or "none" if isinstance(value, dict) else value
