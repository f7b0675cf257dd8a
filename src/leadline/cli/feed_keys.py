"""`leadline feed keygen`: keys of publishers and subscribers, and their rotation. Shows no key."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.exchange_setup import with_libraries
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, emit, say

_DAY_S = 86_400


def keygen_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the keys are, or will be.")],
    publisher: Annotated[
        str, typer.Option("--publisher", metavar="NAME", help="Make a publisher's keys, under this name.")
    ] = "",
    subscriber: Annotated[
        str, typer.Option("--subscriber", metavar="NAME", help="Make a subscriber's key and card, under this name.")
    ] = "",
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Sign the next root: a new online key, and a later expiry.")
    ] = False,
    new_root_keys: Annotated[bool, typer.Option("--new-root-keys", help="With --rotate: new root keys, too.")] = False,
    also_with: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="FILE", help="With --rotate: a root key kept elsewhere; again for more."),
    ] = None,
    root_keys: Annotated[int, typer.Option("--root-keys", min=1, max=16, help="How many root keys.")] = 1,
    threshold: Annotated[
        int, typer.Option("--threshold", min=1, max=16, help="How many of them have to sign the next root.")
    ] = 1,
    root_days: Annotated[
        int, typer.Option("--root-days", min=30, max=3650, help="Days that the root holds; rotate before.")
    ] = 730,
    json: Json = False,
) -> int:
    """Make the keys of a feed, or replace those of a publisher. Key files are readable by their owner alone.

    A publisher gets root-N.key (signs roots: keep them offline, best on different people's devices), online-1.key
    (signs what is published) and 1.root.json, which subscribers are given by a way that they trust. A subscriber gets
    subscriber.key, and subscriber.json, the card for the publisher. After --rotate what the old online key signed
    counts no more: publish at once. Subscribers follow by themselves.

    \b
    Examples:
      leadline feed keygen keys --publisher "Example Hotline" --root-keys 3 --threshold 2
      leadline feed keygen mykey --subscriber "Hotline B"
      leadline feed keygen keys --rotate --with /media/usb/root-2.key

    Exit codes: 0 made, 2 keys are there already, too few root keys are at hand, or a wrong option.
    """
    if sum(map(bool, (publisher, subscriber, rotate))) != 1:
        raise typer.BadParameter("give one of --publisher, --subscriber and --rotate", param_hint="--publisher")
    if not rotate and (new_root_keys or also_with):
        raise typer.BadParameter("it goes with --rotate", param_hint="--new-root-keys, --with")
    expires_s = time.time() + root_days * _DAY_S
    if subscriber:
        record = _make_subscriber(folder, subscriber)
    elif publisher:
        record = _make_publisher(folder, publisher, root_keys, threshold, expires_s)
    else:
        record = _rotate(folder, new_root_keys, also_with or [], expires_s)
    if json:
        emit(record)
    else:
        say(*(f"{name}: {value}" for name, value in record.items()))
    return EXIT_DONE


def _make_subscriber(folder: Path, name: str) -> dict[str, object]:
    with with_libraries():
        from leadline.exchange.feed.keys import SubscriberKey, make_subscriber_key, write_card, write_key
    from leadline.match.folder import make_folder

    text = make_subscriber_key()
    key = SubscriberKey(text)
    card = key.card(name)
    make_folder(folder)
    write_key(folder / "subscriber.key", text)
    write_card(folder / "subscriber.json", card)
    return {
        "subscriber": key.id, "key": str(folder / "subscriber.key"), "card": str(folder / "subscriber.json"),
        "next": "give the card to the publisher",
    }  # fmt: skip


def _make_publisher(folder: Path, name: str, keys: int, threshold: int, expires_s: float) -> dict[str, object]:
    with with_libraries():
        from leadline.exchange.feed.roots import create_roots
    create_roots(folder, name, keys=keys, threshold=threshold, expires_s=expires_s)
    return {
        "publisher": name, "root": str(folder / "1.root.json"), "root keys": f"{threshold} of {keys} sign the next",
        "next": "take root-N.key offline; give the root to subscribers by a way that they trust",
    }  # fmt: skip


def _rotate(folder: Path, new_root_keys: bool, also_with: list[Path], expires_s: float) -> dict[str, object]:
    with with_libraries():
        from leadline.exchange.feed.roots import rotate
    root = rotate(folder, new_root_keys=new_root_keys, also_with=also_with, expires_s=expires_s)
    return {
        "root": str(folder / f"{root.version}.root.json"), "version": root.version,
        "next": "leadline feed publish; then destroy the old online key",
    }  # fmt: skip
