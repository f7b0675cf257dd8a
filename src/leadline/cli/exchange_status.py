"""`leadline exchange status`: how each source is, at a glance. Asks no source, changes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.exchange_setup import open_subscriptions, with_libraries
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_WRONG, complain, emit, say, table
from leadline.errors import ConfigError, LeadlineError

if TYPE_CHECKING:
    from leadline.subscriptions.health import Large

LARGE_REASONS = {  # of subscriptions/large.py; codes of errors stand for themselves
    "not-tried": "not tried yet", "switched-off": "left with the source, since large_gb is 0",
    "storage-full": "left with the source, since large_gb is reached", "disk-full": "no room on the disk",
    "next-pull": "the next pull goes on", "not-told": "not told again", "empty": "nothing came",
}  # fmt: skip
_RUN_COUNTS = (
    "told", "added", "changed", "withdrawn", "same", "left_out", "absent", "kept", "refused", "refused_hashes",
)  # fmt: skip


def status_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names; none: all sources.")] = None,
    kept: Annotated[
        bool, typer.Option("--kept", help="Print what is kept without an entry, a line of JSON each, and no status.")
    ] = False,
    large: Annotated[
        bool,
        typer.Option("--large", help="Print what large fingerprints are held, a line of JSON each, and no status."),
    ] = False,
    json: Json = False,
) -> int:
    """Show how sources are: last success, lag, entries, what the last pull did, what is refused, what is pending.

    The lag is the time since the last pull that ended well began. A withdrawal is pending where the source no longer
    has an entry that still matches here; see the last fault. Of a source that may delete without a word (taxii, misp)
    told whole says when it last told its whole list: what it deleted since may still be here. What is kept and not
    compared are fingerprints of kinds that nobody here knows, of records that hold no others: --kept prints source,
    key, kind, value and digest of each. Large fingerprints are files: --large prints source, key, entry, kind, sha256,
    bytes and path of each that a program may use. Those that are missing come with a later pull, for the reason told.

    \b
    Examples:
      leadline exchange status
      leadline exchange status hotline --json
      leadline exchange status hotline --kept
      leadline exchange status hotline --large

    Exit codes: 0 all are well, 2 no such source, 4 some are not: never pulled, cut off, failed, bank damaged,
    its receipt not confirmed.
    """
    subscriptions = open_subscriptions()
    chosen = list(dict.fromkeys(names or subscriptions.names()))
    if not chosen:
        raise ConfigError("no source is set up", where="leadline exchange", mend="see `leadline exchange add --help`")
    for name in names or ():
        subscriptions.path(name)
    if kept or large:
        return _print_kept(chosen) if kept else _print_large(chosen)
    records = [_describe(name) for name in chosen]
    for record in records:
        if json:
            emit(record)
        else:
            say(*_lines(record))
    return EXIT_DONE if all(record["is_well"] for record in records) else EXIT_WRONG


def _print_kept(names: list[str]) -> int:
    with with_libraries():
        from leadline.subscriptions.health import read_kept
    for name in names:
        for one in read_kept(open_subscriptions(), name):
            emit({"source": name, "key": one.key, "kind": one.kind, "value": one.value, "digest": one.digest.hex()})
    return EXIT_DONE


def _print_large(names: list[str]) -> int:
    with with_libraries():
        from leadline.subscriptions.large import read_large
    for name in names:
        for one in read_large(open_subscriptions(), name):
            record = {"source": name, "key": one.key, "entry": one.entry_id, "kind": one.kind}
            emit({**record, "sha256": one.digest.hex(), "bytes": one.size, "path": str(one.path)})
    return EXIT_DONE


def _describe(name: str) -> dict[str, Any]:
    with with_libraries():
        from leadline.subscriptions.health import describe_source
    try:
        health = describe_source(open_subscriptions(), name, time.time())
    except LeadlineError as error:
        complain(error, name)
        return {"name": name, "is_well": False, "standing": "unreadable", "error": str(error)}
    run = health.last_run
    return {
        "name": name, "is_well": health.is_well, "standing": str(health.standing),
        "connector": health.subscription.connector, "bank": health.subscription.bank,
        "last_success": _moment(health.last_success), "lag_s": None if health.lag_s < 0 else health.lag_s,
        "told_whole": _moment(health.told_whole), "whole_every_h": health.whole_every_h or None,
        "entries": health.entries, "by_kind": {str(kind): count for kind, count in health.by_kind.items()},
        "by_fingerprint": dict(health.by_fingerprint), "kept": dict(health.kept), "large": _large_record(health.large),
        "list_version": health.list_version,
        "withdrawals_pending": health.withdrawals_pending,
        "last_run": {count: run.get(count, 0) for count in _RUN_COUNTS} if run else {},
        "last_run_ended": _moment(int(run.get("ended", 0))), "unknown": run.get("unknown", {}),
        "reasons": run.get("reasons", {}), "faults": run.get("faults", []),
        "unconfirmed": run.get("unconfirmed", {}).get("text", ""),
        "error": health.bank_error or run.get("error", {}).get("text", ""),
    }  # fmt: skip


def _large_record(large: Large) -> dict[str, Any]:
    return {
        "held": {one.kind: one.held for one in large.counts if one.held},
        "held_bytes": {one.kind: one.held_bytes for one in large.counts if one.held},
        "missing": {one.kind: one.missing for one in large.counts if one.missing},
        "reasons": dict(large.reasons),
        "failed": [f"{one.key} {one.kind}: {one.why}" for one in large.failed],
        "large_gb": large.most_gb,
    }


def _large_rows(large: dict[str, Any]) -> list[tuple[str, object]]:
    held = ", ".join(
        f"{kind} {count} ({large['held_bytes'][kind] / 1e6:.1f} MB)" for kind, count in large["held"].items()
    )
    rows: list[tuple[str, object]] = [("large, held", f"{held}, of {large['large_gb']:g} GB")] if held else []
    if large["missing"]:
        reasons = "; ".join(f"{LARGE_REASONS.get(why, why)} {count}" for why, count in large["reasons"].items())
        missing = ", ".join(f"{kind} {count}" for kind, count in large["missing"].items())
        rows.append(("large, missing", f"{missing}: {reasons}"))
    return rows + [("large, failed", one) for one in large["failed"]]


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else ""


def _lines(record: dict[str, Any]) -> list[str]:
    head = f"{record['name']}: {record['standing']}"
    if not record.get("bank"):  # it cannot be read, or is a look-up
        return [head]
    rows: list[tuple[str, object]] = [
        ("last success", record["last_success"] or "never"),
        ("lag", _span(record["lag_s"])),
        *([("told whole", _told_whole(record))] if record["whole_every_h"] else []),
        ("entries", record["entries"]),
        *((of.replace("by_", "by "), _counted(record[of])) for of in ("by_kind", "by_fingerprint") if record[of]),
    ]
    rows += [("kept, not compared", _counted(record["kept"]))] if record["kept"] else []
    rows += _large_rows(record["large"])
    if record["last_run"]:
        rows.append(("last run", f"{record['last_run_ended']}  {_counted(record['last_run'])}"))
    rows += [(name, _counted(record[name])) for name in ("unknown", "reasons") if record[name]]
    rows.append(("withdrawals pending", record["withdrawals_pending"]))
    rows += [("refused", fault) for fault in record["faults"]]
    rows += [("receipt not confirmed", record["unconfirmed"])] if record["unconfirmed"] else []
    rows += [("fault", record["error"])] if record["error"] else []
    return [head, *(f"  {line}" for line in table(rows))]


def _told_whole(record: dict[str, Any]) -> str:
    """Of a source that deletes without a word."""
    every = f"what it deletes without a word is seen every {record['whole_every_h']:g} h"
    return f"{record['told_whole'] or 'not yet'}; {every}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items() if count)


def _span(seconds: int | None) -> str:
    if seconds is None:
        return "never pulled"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
