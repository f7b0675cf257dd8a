"""`leadline exchange`: sources of lists are set up, listed, checked, removed. Pulling: exchange_pull.py."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli import exchange_look_up, exchange_mock, exchange_pull, exchange_send, exchange_status
from leadline.cli.bank_fill import Family, LabelKinds, Licence, Scheme, TlpOption, kinds_by_label
from leadline.cli.config import load_settings
from leadline.cli.exchange_setup import (
    error_record,
    find_connector,
    open_subscriptions,
    read_options,
    read_secrets,
    try_connector,
    with_libraries,
)
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, Tally, complain, emit, say, table
from leadline.domain import Kind, PdqFamily, Tlp
from leadline.errors import ConfigError, LeadlineError
from leadline.subscriptions.folder import Subscription

if TYPE_CHECKING:
    from leadline.exchange.connector import Connector

app = typer.Typer(
    rich_markup_mode=None,
    help="Lists of other organisations: set sources up, pull them into banks, look how they are, rehearse.",
)

NAME_HELP = "Name of the source, as `leadline exchange list` shows it."
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of sources; none: all of them.")]


@app.command("list")
def list_command(
    connectors: Annotated[
        bool, typer.Option("--connectors", help="What can be connected to, with options and credentials of each.")
    ] = False,
    json: Json = False,
) -> int:
    """List the sources that are set up: name, connector, bank, and where each credential comes from.

    \b
    Examples:
      leadline exchange list
      leadline exchange list --connectors
      leadline exchange list --json

    Exit codes: 0 listed, 1 there are none.
    """
    if connectors:
        return _list_connectors(json=json)
    subscriptions = open_subscriptions()
    names = subscriptions.names()
    for name in names:
        record = {**_record(subscriptions.get(name)), "secrets": subscriptions.secret_places(name)}
        if json:
            emit(record)
        else:
            secrets = ", ".join(f"{of}: {place}" for of, place in record["secrets"].items()) or "no credentials"
            say(f"{name}  {record['connector']}  {record['bank'] or 'look-up'}  {secrets}")
    if not names and not json:
        say("no source is set up: see `leadline exchange add --help`")
    return EXIT_DONE if names else EXIT_NOTHING


def _list_connectors(*, json: bool) -> int:
    with with_libraries():
        from leadline.exchange.connectors import CONNECTORS
    for name in CONNECTORS:
        record = _connector_record(name)
        if json:
            emit(record)
        else:
            rows = [(field.replace("_", " "), _told(value)) for field, value in record.items() if field != "name"]
            say(name, *(f"  {line}" for line in table(rows)))
    return EXIT_DONE


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({meaning})" for name, meaning in value.items()) or "none"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _connector_record(name: str) -> dict[str, Any]:
    try:
        kind = find_connector(name)
    except ConfigError as error:
        return {"name": name, "title": f"not installed: {error.mend}"}
    from leadline.exchange.connector import ListConnector

    fields = kind.options_type.model_fields
    options = {field: "needed" if spec.is_required() else f"default {spec.default}" for field, spec in fields.items()}
    credentials = [*kind.secret_names, *(f"{of} (optional)" for of in kind.optional_secret_names)]
    return {
        "name": name, "title": kind.title, "is": "a list" if issubclass(kind, ListConnector) else "a look-up",
        "credentials": credentials, "options": options, "takes": sorted(map(str, kind.act_names)),
        "unverified": list(kind.unverified),
    }  # fmt: skip


@app.command("add")
def add_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="How the source is called here: a-z, 0-9 and -.")],
    connector: Annotated[
        str, typer.Option("--connector", metavar="CONNECTOR", help="See `leadline exchange list --connectors`.")
    ],
    kind: Annotated[Kind, typer.Option("--kind", help="What an entry of this source says of a file.")],
    bank: Annotated[
        Path | None,
        typer.Option(
            "--bank",
            metavar="FOLDER",
            help="Folder of the bank for its entries and no others; made if it is not there. Default:"
            " LEADLINE_BANKS/NAME, where the workbench looks for banks.",
        ),
    ] = None,
    tlp: TlpOption = None,
    licence: Licence = "",
    scheme: Scheme = "",
    pdq_family: Family = PdqFamily.B,
    label_kind: LabelKinds = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the connector; give it again for more."),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="NAME=SOURCE",
            help="Where a credential comes from: file:PATH and env:VARIABLE are read at each use; - is asked for"
            " without echo, or read as a line of standard input, and sealed with the instance key.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Set a source up. Nothing is asked of it yet: `check` does that, and `pull` fetches the list.

    A credential is never an argument: it would stand in the history of the shell and in the list of processes.

    \b
    Examples:
      leadline exchange add first --connector sample --kind other
      leadline exchange add hotline --connector ncmec --kind illegal --option address=https://hashsharing.ncmec.org/npo
        --secret user=file:/etc/leadline/hotline.user --secret password=-
      leadline exchange add partner --connector misp --kind illegal --label-kind benign=skip
        --option address=https://misp.example --secret key=env:PARTNER_MISP_KEY

    Exit codes: 0 set up, 2 an option, credential, name or bank is wrong: nothing was set up.
    """
    settings = load_settings()
    subscriptions, made_of = open_subscriptions(settings), find_connector(connector)
    where = _bank_folder(made_of, (settings.banks / name) if bank is None else bank.expanduser().absolute())
    subscriptions.check_free(name, where)
    options = read_options(option or (), made_of)
    subscription = Subscription(
        name, connector, options.model_dump(mode="json"), where, kind, Tlp.AMBER_STRICT if tlp is None else tlp,
        licence, scheme, pdq_family, kinds_by_label(label_kind),
    )  # fmt: skip
    secrets = read_secrets(secret or (), made_of)
    try_connector(made_of, options, secrets, subscription.defaults)
    settings.make_home()
    with _bank_for(subscription):
        subscriptions.add(subscription, secrets)
    record = {**_record(subscription), "secrets": subscriptions.secret_places(name)}
    if json:
        emit(record)
    else:
        say(f"set up: {name}", f"bank: {where or 'none, it is a look-up'}", f"next: leadline exchange check {name}")
    return EXIT_DONE


def _bank_folder(kind: type[Connector], path: Path) -> str:
    """A look-up service has no bank."""
    from leadline.exchange.connector import ListConnector

    return str(path) if issubclass(kind, ListConnector) else ""


@contextmanager
def _bank_for(subscription: Subscription) -> Iterator[None]:
    """Its bank is there and holds nobody else's entries; where the source is not set up after all, no new one stays."""
    from leadline.match.bank import Bank
    from leadline.match.manifest import FILE_NAME

    if not subscription.bank:
        yield
        return
    path = Path(subscription.bank)
    if (path / FILE_NAME).exists():
        bank = Bank.open(path)
        if bank.count and bank.snapshot.manifest.source != subscription.name:
            mend = "give an empty folder: what this source withdraws must not be mixed with other entries"
            raise ConfigError("this bank holds other entries", where=str(path), mend=mend)
        yield
        return
    was_there = path.exists()
    Bank.create(
        path, name=path.name, kind=subscription.kind, source=subscription.name, tlp=subscription.tlp,
        licence=subscription.licence,
    )  # fmt: skip
    try:
        yield
    except BaseException:
        if not was_there:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _record(subscription: Subscription) -> dict[str, Any]:
    return {
        "name": subscription.name, "connector": subscription.connector, "bank": subscription.bank,
        "kind": subscription.kind, "tlp": subscription.tlp, "licence": subscription.licence,
        "scheme": subscription.scheme, "options": dict(subscription.options),
        "label_kinds": {label: kind or "skip" for label, kind in subscription.label_kinds.items()},
    }  # fmt: skip


@app.command("check")
def check_command(names: Names = None, json: Json = False) -> int:
    """Ask sources whether address and credentials are good: who they say you are, and what you should know.

    \b
    Examples:
      leadline exchange check hotline
      leadline exchange check --json

    Exit codes: 0 all good, 1 none, 3 some are not.
    """
    subscriptions, tally = open_subscriptions(), Tally()
    for name in chosen(names, subscriptions.names()):
        record = _check(name)
        tally.done += record["ok"]
        tally.refused += not record["ok"]
        if json:
            emit(record)
        elif record["ok"]:
            say(f"good: {name}  {record['identity'] or 'it does not say who you are'}")
            say(*(f"  note: {note}" for note in record["notes"]))
            say(*(f"  unverified: {part}" for part in record["unverified"]))
    return tally.exit_code


def _check(name: str) -> dict[str, Any]:
    with with_libraries():
        from leadline.subscriptions.pulling import connected
    try:
        with connected(open_subscriptions(), name, clock=time.time, sleep=time.sleep) as source:
            found = source.check()
            notes, unverified = list(found.notes), list(source.unverified)
    except LeadlineError as error:
        complain(error, name)
        return {"name": name, "ok": False, "error": error_record(error)}
    return {"name": name, "ok": True, "identity": found.identity, "notes": notes, "unverified": unverified}


def chosen(names: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Those given, each once; all where none is given. ConfigError where there is none at all."""
    if not names and not known:
        raise ConfigError("no source is set up", where="leadline exchange", mend="see `leadline exchange add --help`")
    return list(dict.fromkeys(names or known))


app.command("pull")(exchange_pull.pull_command)
app.command("look-up")(exchange_look_up.look_up_command)
app.command("send")(exchange_send.send_command)
app.command("status")(exchange_status.status_command)


@app.command("set")
def set_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP)],
    option: Annotated[
        list[str], typer.Option("--option", metavar="KEY=VALUE", help="An option of the connector; again for more.")
    ],
    json: Json = False,
) -> int:
    """Change options of a source, from the next pull on: its other settings, its bank and what it holds stay.

    After a change of any but large_gb and large_mb the next pull has the source tell its whole list again.

    \b
    Examples:
      leadline exchange set hotline --option large_gb=50
      leadline exchange set hotline --option timeout_s=120

    Exit codes: 0 changed, 2 there is no such source or option, or it is being pulled.
    """
    subscriptions = open_subscriptions()
    before = subscriptions.get(name)
    options = read_options(option, find_connector(before.connector), before.options)
    subscriptions.set_options(name, options.model_dump(mode="json"))
    record = _record(subscriptions.get(name))
    if json:
        emit(record)
    else:
        changed = {of: value for of, value in record["options"].items() if value != before.options.get(of)}
        say(f"set: {name}", *(f"  {of}: {value}" for of, value in changed.items()))
    return EXIT_DONE


@app.command("remove")
def remove_command(name: Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP)], json: Json = False) -> int:
    """Forget a source: settings, credentials, status, large fingerprints. Its bank stays, and goes on matching.

    Set up again with the same bank, the source goes on with the entries that are there.

    \b
    Examples:
      leadline exchange remove hotline

    Exit codes: 0 forgotten, 2 there is no such source, or it is being pulled.
    """
    subscriptions = open_subscriptions()
    subscription = subscriptions.get(name)
    subscriptions.remove(name)
    if json:
        emit(_record(subscription))
    else:
        say(f"forgotten: {name}", f"its bank stays: {subscription.bank}" if subscription.bank else "it had no bank")
    return EXIT_DONE


app.command("mock")(exchange_mock.mock_command)
