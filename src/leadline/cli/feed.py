"""`leadline feed`: publish a bank as a signed feed, see who applied it; subscribe to one, check it. Decides nothing."""

from __future__ import annotations

import getpass
import re
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli import exchange, feed_keys
from leadline.cli.exchange_setup import with_libraries
from leadline.cli.options import Json, ask_reason, reason_option
from leadline.cli.output import EXIT_DONE, EXIT_PARTLY, EXIT_WRONG, Faults, complain, emit, say, table
from leadline.cli.progress import Counter
from leadline.domain import Kind
from leadline.errors import ConfigError, FeedRefused, InputError

if TYPE_CHECKING:
    from leadline.exchange.feed.ledger import Ledger, Standing
    from leadline.exchange.feed.publishing import Told

app = typer.Typer(
    rich_markup_mode=None,
    help="Leadline's own signed feed: publish a bank to subscribers, see that they applied it; subscribe, verify.",
)
app.command("keygen")(feed_keys.keygen_command)

_UNITS_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
BankPath = Annotated[str, typer.Argument(metavar="BANK", help="Folder of the bank.")]
RootFile = Annotated[
    Path, typer.Option("--root", metavar="FILE", help="The publisher's root, come by a way that you trust.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token", metavar="FILE", help="Holds the token that the publisher's service asks for."),
]


@app.command("publish")
def publish_command(
    bank: BankPath,
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Folder that the feed is written into.")],
    keys: Annotated[Path, typer.Option("--keys", metavar="KEYS", help="Folder that `feed keygen --publisher` made.")],
    subscribers: Annotated[
        Path,
        typer.Option(
            "--subscribers",
            metavar="FOLDER",
            help="One file for each: its card with tlp and kinds added. Take a file away, and it is sent nothing more.",
        ),
    ],
    lasts: Annotated[
        str, typer.Option("--lasts", metavar="TIME", help="How long what is signed holds; publish twice as often.")
    ] = "7d",
    withdraw_within: Annotated[
        str, typer.Option("--withdraw-within", metavar="TIME", help="Time for subscribers to prove a withdrawal.")
    ] = "24h",
    reason: Annotated[str, reason_option("Why it leaves; illegal and exploitative entries need one.")] = "",
    json: Json = False,
) -> int:
    """Bring a feed to what the bank is now: only what changed is written, encrypted to each subscriber, and signed.

    Run it after each change and by a timer, at least twice within --lasts: it does nothing where nothing is to be done.
    A kill at any moment leaves the old feed or the new one. TLP:RED never leaves; the other labels and the kinds as
    each subscriber's file says. Other programs may copy DIR; `leadline serve --publish BANK` serves it and takes
    receipts. Who published what when, and why, is kept in the bank's folder.

    \b
    Examples:
      leadline feed keygen keys --publisher "Example Hotline"
      leadline feed publish banks/known --dir feed --keys keys --subscribers partners --reason "agreement 12"
      leadline feed publish banks/known --dir feed --keys keys --subscribers partners --lasts 3d --json

    Exit codes: 0 the feed is what the bank is, 1 no bank there or another publication on, 2 a key, subscriber's file,
    reason or folder is wrong: nothing was published.
    """
    with with_libraries():
        from leadline.exchange.feed.keys import read_agreements
        from leadline.exchange.feed.publishing import Terms, publish
        from leadline.exchange.feed.roots import load_roots
    from leadline.match.bank import Bank

    opened = Bank.open(Path(bank))
    terms = Terms(
        _span(lasts, "--lasts"), _span(withdraw_within, "--withdraw-within"), ask_reason(reason, opened),
        getpass.getuser(),
    )  # fmt: skip
    if not subscribers.is_dir():
        raise ConfigError(
            "no folder of subscribers",
            where=str(subscribers),
            mend="put the card of each into it, with tlp and kinds added",
        )
    agreements = read_agreements(sorted(subscribers.glob("*.json")))
    with Counter(f"entries of {opened.name}") as counter:
        done = publish(
            opened, directory, load_roots(keys), agreements, terms, now_s=time.time(), say=counter.step
        )  # fmt: skip
    record = {
        "bank": opened.name, "list_version": done.list_version, "version": done.version, "new": done.is_new,
        "expires": done.expires, "told": [told._asdict() for told in done.told], "removed": list(done.removed),
    }  # fmt: skip
    if json:
        emit(record)
    else:
        say(f"{opened.name}: version {done.version}{'' if done.is_new else ', nothing to do'}")
        say(*(f"  {line}" for told in done.told for line in _told_lines(told)))
        say(*(f"  {name}: is sent nothing more" for name in done.removed), f"holds until {_moment(done.expires)}")
    return EXIT_DONE


def _told_lines(told: Told) -> list[str]:
    lines = [f"{told.name}: state {told.serial}, {told.entries} entries, {told.withdrawn} withdrawn"]
    if told.stays:
        why = ", ".join(f"{count} for their {'TLP' if of == 'tlp' else of}" for of, count in sorted(told.stays.items()))
        lines.append(f"{told.name}: entries that stay here: {why}; its file says what may leave")
    return lines


def _span(text: str, option: str) -> int:
    form = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", text)
    if form is None:
        raise typer.BadParameter("give 12h, 7d or 4w", param_hint=option)
    return int(form[1]) * _UNITS_S[form[2]]


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "-"


# --- receipts --------------------------------------------------------------------------------------------------------


@app.command("receipts")
def receipts_command(
    bank: BankPath,
    take: Annotated[
        list[Path] | None,
        typer.Option("--take", metavar="FILE", help="A receipt that came another way; give it again for more."),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="What was published when, by whom, and why.")] = False,
    json: Json = False,
) -> int:
    """Show how far each subscriber is, and who owes a receipt for withdrawals beyond its deadline.

    Receipts that subscribers left in the published folder are taken in first; those that came over HTTP are here
    already. A receipt counts only with its subscriber's signature and the proof that it opened what it was sent.

    \b
    Examples:
      leadline feed receipts banks/known
      leadline feed receipts banks/known --take mail/receipt.json --json
      leadline feed receipts banks/known --history

    Exit codes: 0 nobody is overdue, 1 nothing was published, 3 a receipt was refused, 4 a subscriber is overdue.
    """
    with with_libraries():
        from leadline.exchange.feed.ledger import Ledger
    from leadline.match.bank import Bank

    folder, now_s = Bank.open(Path(bank)).path, time.time()
    with closing(Ledger(folder, must_exist=True)) as ledger:
        refused = _take_receipts(ledger, take or (), bank, now_s)
        if history:
            _show_history(ledger, json=json)
            return EXIT_DONE
        standings = ledger.standings()
    for standing in standings:
        _show_standing(standing, now_s, json=json)
    if any(standing.is_overdue(now_s) for standing in standings):
        return EXIT_WRONG
    return EXIT_PARTLY if refused else EXIT_DONE


def _take_receipts(ledger: Ledger, paths: list[Path] | tuple[()], bank: str, now_s: float) -> int:
    from leadline.exchange.feed.shelf import Shelf

    faults = Faults(bank)
    for untrusted in [path.read_bytes() for path in paths]:
        _take(ledger, untrusted, now_s, faults)
    for path, untrusted in Shelf(Path(ledger.fact("directory"))).receipts():
        if _take(ledger, untrusted, now_s, faults):
            with suppress(OSError):  # a subscriber's own, in a folder that we may only read
                path.unlink()
    faults.finish()
    return faults.count


def _take(ledger: Ledger, untrusted: bytes, now_s: float, faults: Faults) -> bool:
    try:
        ledger.take_receipt(untrusted, now_s)
    except InputError as error:
        faults.note(error)
        return False
    return True


def _show_standing(standing: Standing, now_s: float, *, json: bool) -> None:
    is_overdue = standing.is_overdue(now_s)
    if json:
        emit({**standing._asdict(), "overdue": is_overdue})
        return
    state = "removed" if standing.removed_at else "OVERDUE" if is_overdue else "owes" if standing.owed else "in time"
    rows = [
        ("state", f"{standing.confirmed} of {standing.serial}"), ("last receipt", _moment(standing.received_at)),
        ("withdrawals owed", standing.owed), ("until", _moment(standing.withdraw_by)),
    ]  # fmt: skip
    say(f"{standing.name}: {state}", *(f"  {line}" for line in table(rows)))


def _show_history(ledger: Ledger, *, json: bool) -> None:
    for done in ledger.publications():
        if json:
            emit(done._asdict())
        else:
            what = f"version {done.version}, {done.told} entries, {done.withdrawn} withdrawn"
            say(f"{_moment(done.at)}  {done.actor}: {what}{f'; {done.reason}' if done.reason else ''}")


# --- subscribers -----------------------------------------------------------------------------------------------------


@app.command("subscribe")
def subscribe_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="How the source is called here: a-z, 0-9 and -.")],
    address: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="https://NAME/feed/BANK, or a folder.")],
    root: RootFile,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Your key: read at each pull, never copied.")],
    kind: Annotated[Kind, typer.Option("--kind", help="Of the bank. Each entry brings its own kind.")],
    token: Annotated[
        Path | None,
        typer.Option("--token", metavar="FILE", help="Holds the token that the publisher's service asks for."),
    ] = None,
    bank: Annotated[
        Path | None,
        typer.Option("--bank", metavar="FOLDER", help="For its entries alone. Default: LEADLINE_BANKS/NAME."),
    ] = None,
    receipts: Annotated[
        Path | None,
        typer.Option("--receipts", metavar="FOLDER", help="Leave receipts there, to be taken to the publisher."),
    ] = None,
    takes_clearing: Annotated[
        bool, typer.Option("--takes-clearing", help="Take benign and false-positive entries too: they end matches.")
    ] = False,
    json: Json = False,
) -> int:
    """Set up a subscription to a feed: afterwards `leadline exchange check`, `pull` and `status` work with it.

    Make your key first, and give its card (subscriber.json) to the publisher; have the publisher's root by another way
    than the feed itself, for it is what everything is checked against.

    \b
    Examples:
      leadline feed keygen mykey --subscriber "Hotline B"
      leadline feed subscribe partner --from https://lists.example/feed/known --root root.json \\
        --key mykey/subscriber.key --token token --kind illegal
      leadline exchange pull partner

    Exit codes: 0 set up, 2 address, root, key, name or bank is wrong: nothing was set up.
    """
    with with_libraries():
        from leadline.exchange.feed.keys import SubscriberKey, read_key
        from leadline.exchange.feed.trust import read_root
    read_root(_read(root), str(root))
    SubscriberKey(read_key(key))
    options = [f"address={address}", f"root={root}"]
    options += [f"receipts={receipts}"] if receipts else []
    options += ["takes_clearing=true"] if takes_clearing else []
    secrets = [f"key=file:{key}", *([f"token=file:{token}"] if token else [])]
    return exchange.add_command(
        name, connector="leadline-feed", kind=kind, bank=bank, option=options, secret=secrets, json=json
    )


@app.command("verify")
def verify_command(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="https://NAME/feed/BANK, or a folder.")],
    root: RootFile,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Open what is for this subscriber, and only that.")
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option("--token", metavar="FILE", help="Holds the token that the publisher's service asks for."),
    ] = None,
    json: Json = False,
) -> int:
    """Check a feed: every signature, expiry and file against the root, and with --key that the contents open.

    It begins from the root alone, so it cannot see that a feed was turned back: pulls remember, and do.

    \b
    Examples:
      leadline feed verify feed --root keys/1.root.json
      leadline feed verify https://lists.example/feed/known --root root.json --key mykey/subscriber.key --token token

    Exit codes: 0 sound, 1 not to be read, 2 a root or key is none, 4 found wrong.
    """
    with with_libraries():
        from leadline.exchange.feed.checking import verify_feed
        from leadline.exchange.feed.keys import SubscriberKey, read_key
        from leadline.exchange.feed.places import open_place
    opened = SubscriberKey(read_key(key)) if key else None
    secret = read_key(token) if token else ""
    with closing(open_place(address, source=address, sleep=time.sleep, token=secret)) as place:
        try:
            with Counter(f"files of {address}") as counter:
                found = verify_feed(place, _read(root), time.time(), address, key=opened, say=counter.step)
        except FeedRefused as error:
            complain(error, address)
            if json:
                emit({"address": address, "sound": False, "code": error.code})
            return EXIT_WRONG
    record: dict[str, Any] = {"address": address, "sound": True}
    record |= {name: getattr(found, name) for name in found.__dataclass_fields__}
    if json:
        emit(record)
    else:
        say(*table((of, _moment(value) if of == "expires" else value) for of, value in record.items()))
    return EXIT_DONE


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path), mend="give the root's file") from None
