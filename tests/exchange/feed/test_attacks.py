"""Each way to deceive a subscriber, done by hand on the published files. In every one nothing of it is taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from tests.exchange.feed.conftest import DAY_S, NOW_S, Clock, Publisher, Reader, entry
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from leadline.errors import ConfigError, FeedRefused, KeyUnavailable
from leadline.exchange.feed.keys import SubscriberKey, load_signer, make_subscriber_key
from leadline.exchange.feed.metadata import sign_online
from leadline.exchange.feed.roots import load_roots, rotate

YEAR_S = 365 * DAY_S


@pytest.fixture
def reader(publisher: Publisher) -> Reader:
    """Has entries 1 and 2, as published in version 1."""
    made = publisher.admit("B")
    publisher.bank.add([entry(1), entry(2)])
    publisher.publish()
    made.pull(publisher.feed)
    return made


def refused(reader: Reader, feed: Path) -> str:
    """The code that the pull was refused with; the copy stays as it was."""
    before, checkpoint = dict(reader.held), reader.checkpoint
    with pytest.raises(FeedRefused) as caught:
        reader.pull(feed)
    assert (reader.held, reader.checkpoint) == (before, checkpoint)
    return caught.value.code


def copy(publisher: Publisher, name: str) -> Path:
    return Path(shutil.copytree(publisher.feed, publisher.folder / name))


def only_file(publisher: Publisher, pattern: str) -> Path:
    (path,) = publisher.feed.glob(pattern)
    return path


def test_rollback_to_an_older_version(publisher: Publisher, reader: Reader) -> None:
    old = copy(publisher, "old")
    publisher.bank.remove([1])
    publisher.publish()
    reader.pull(publisher.feed)
    assert refused(reader, old) == "rolled-back"
    assert reader.ids == {2}


def test_rollback_of_the_list_under_newer_signatures(publisher: Publisher, reader: Reader) -> None:
    """By a publisher's own machine in wrong hands: the versions grow, the list behind them is an old one."""
    old_targets = Metadata[Targets].from_file(str(publisher.feed / "metadata/1.targets.json")).signed
    publisher.bank.remove([1])
    publisher.publish()
    reader.pull(publisher.feed)
    online = sign_online(9, list(old_targets.targets.values()), load_roots(publisher.keys).signer_of, NOW_S + DAY_S)
    (publisher.feed / "metadata/9.targets.json").write_bytes(online.targets)
    (publisher.feed / "metadata/9.snapshot.json").write_bytes(online.snapshot)
    (publisher.feed / "metadata/timestamp.json").write_bytes(online.timestamp)
    assert refused(reader, publisher.feed) == "rolled-back"


def test_freeze_at_a_version_that_is_kept_for_ever(publisher: Publisher, reader: Reader, clock: Clock) -> None:
    frozen = copy(publisher, "frozen")
    publisher.bank.remove([1])
    clock.now += 3 * DAY_S
    publisher.publish()
    reader.pull(frozen)  # it cannot be told yet
    clock.now += 5 * DAY_S
    assert refused(reader, frozen) == "expired"
    reader.pull(publisher.feed)
    assert reader.ids == {2}


def test_an_expiry_that_was_moved(publisher: Publisher, reader: Reader, clock: Clock) -> None:
    path = publisher.feed / "metadata/timestamp.json"
    told = json.loads(path.read_text())
    told["signed"]["expires"] = "2040-01-01T00:00:00Z"
    path.write_text(json.dumps(told))
    assert refused(reader, publisher.feed) == "unsigned"


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_mix_and_match_of_files_of_two_versions(publisher: Publisher, reader: Reader, role: str) -> None:
    publisher.bank.remove([1])
    publisher.publish()
    shutil.copy(publisher.feed / f"metadata/1.{role}.json", publisher.feed / f"metadata/2.{role}.json")
    assert refused(reader, publisher.feed) == "mixed"


def test_mix_and_match_of_contents_of_two_states(publisher: Publisher, reader: Reader) -> None:
    before = only_file(publisher, f"targets/{reader.id}/*.1-0-0.age").read_bytes()
    publisher.bank.remove([1])
    publisher.publish()
    only_file(publisher, f"targets/{reader.id}/*.2-1-0.age").write_bytes(before)
    assert refused(reader, publisher.feed) == "damaged"


def test_mix_and_match_of_contents_signed_under_another_state(publisher: Publisher, reader: Reader) -> None:
    """With the online key and old contents: what the contents say inside gives it away."""
    publisher.bank.remove([1])
    publisher.publish()
    whole = only_file(publisher, f"targets/{reader.id}/*.1-0-0.age")
    targets = Metadata[Targets].from_file(str(publisher.feed / "metadata/2.targets.json")).signed
    change = targets.targets[f"{reader.id}/2-1-0.age"]
    old = targets.targets[f"{reader.id}/1-0-0.age"]
    change.length, change.hashes = old.length, old.hashes
    online = sign_online(3, list(targets.targets.values()), load_roots(publisher.keys).signer_of, NOW_S + DAY_S)
    (publisher.feed / "metadata/3.targets.json").write_bytes(online.targets)
    (publisher.feed / "metadata/3.snapshot.json").write_bytes(online.snapshot)
    (publisher.feed / "metadata/timestamp.json").write_bytes(online.timestamp)
    shutil.copy(whole, whole.with_name(whole.name.replace(".1-0-0.", ".2-1-0.")))
    assert refused(reader, publisher.feed) == "mixed"


@pytest.mark.parametrize("pattern", ["metadata/2.targets.json", "metadata/2.snapshot.json", "targets/*/*.2-1-0.age"])
def test_truncation(publisher: Publisher, reader: Reader, pattern: str) -> None:
    publisher.bank.remove([1])
    publisher.publish()
    path = only_file(publisher, pattern)
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(reader, publisher.feed) in ("mixed", "damaged")


@pytest.mark.parametrize("pattern", ["metadata/2.targets.json", "metadata/timestamp.json", "targets/*/*.2-1-0.age"])
def test_a_file_that_is_kept_back(publisher: Publisher, reader: Reader, pattern: str) -> None:
    publisher.bank.remove([1])
    publisher.publish()
    only_file(publisher, pattern).unlink()
    assert refused(reader, publisher.feed) == "missing"


def test_half_of_a_long_list_is_kept_back(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A telling of which a part is not named leads nowhere, also where the signature is right."""
    monkeypatch.setattr("leadline.exchange.feed.shelf.PART_ENTRIES", 2)
    reader = publisher.admit("B")
    publisher.bank.add([entry(number) for number in range(1, 6)])
    publisher.publish()
    targets = Metadata[Targets].from_file(str(publisher.feed / "metadata/1.targets.json")).signed
    files = [file for path, file in targets.targets.items() if not path.endswith("-1.age")]
    online = sign_online(2, files, load_roots(publisher.keys).signer_of, NOW_S + DAY_S)
    for name, data in (("2.targets", online.targets), ("2.snapshot", online.snapshot), ("timestamp", online.timestamp)):
        (publisher.feed / f"metadata/{name}.json").write_bytes(data)
    assert refused(reader, publisher.feed) == "not-for-us"


def test_contents_that_were_changed(publisher: Publisher, reader: Reader) -> None:
    publisher.bank.remove([1])
    publisher.publish()
    path = only_file(publisher, "targets/*/*.2-1-0.age")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert refused(reader, publisher.feed) == "damaged"


def test_contents_made_by_a_stranger_for_this_subscriber(publisher: Publisher, reader: Reader) -> None:
    """Everybody may encrypt to a subscriber; only the publisher's signature says whose list it is."""
    publisher.bank.remove([1])
    publisher.publish()
    recipient = pyrage.x25519.Recipient.from_str(SubscriberKey(reader.key).encrypt)
    only_file(publisher, "targets/*/*.2-1-0.age").write_bytes(pyrage.encrypt(b"{}\n", [recipient]))
    assert refused(reader, publisher.feed) == "damaged"


def test_signed_files_that_were_changed(publisher: Publisher, reader: Reader) -> None:
    publisher.bank.remove([1])
    publisher.publish()
    path = publisher.feed / "metadata/timestamp.json"
    told = json.loads(path.read_text())
    told["signed"]["version"] = 7
    path.write_text(json.dumps(told))
    assert refused(reader, publisher.feed) == "unsigned"
    path.write_text("no JSON")
    assert refused(reader, publisher.feed) == "damaged"
    path.write_text("[" * 200_000)
    assert refused(reader, publisher.feed) == "damaged"


def test_one_role_in_the_place_of_another(publisher: Publisher, reader: Reader) -> None:
    shutil.copy(publisher.feed / "metadata/1.snapshot.json", publisher.feed / "metadata/timestamp.json")
    assert refused(reader, publisher.feed) == "unsigned"


def test_a_stranger_signs_a_feed_of_their_own(
    publisher: Publisher, reader: Reader, make_publisher: Callable[..., Publisher]
) -> None:
    stranger = make_publisher("stranger")
    stranger.agreements = dict(publisher.agreements)
    stranger.bank.add([entry(66)])
    stranger.publish()
    assert refused(reader, stranger.feed) == "unsigned"


def forge_with(key_file: Path, publisher: Publisher, version: int) -> None:
    """What somebody who holds this online key can make."""
    signer = load_signer(key_file)
    online = sign_online(version, [], lambda role: signer, NOW_S + YEAR_S)
    for name, data in (("targets", online.targets), ("snapshot", online.snapshot)):
        (publisher.feed / f"metadata/{version}.{name}.json").write_bytes(data)
    (publisher.feed / "metadata/timestamp.json").write_bytes(online.timestamp)


def test_a_stolen_old_key_is_worth_nothing_after_a_rotation(publisher: Publisher, reader: Reader) -> None:
    rotate(publisher.keys, new_root_keys=False, also_with=(), expires_s=NOW_S + YEAR_S)
    publisher.publish()
    reader.pull(publisher.feed)
    forge_with(publisher.keys / "online-1.key", publisher, 50)
    assert refused(reader, publisher.feed) == "unsigned"


def test_a_stolen_key_cannot_hold_a_feed_up_beyond_its_rotation(publisher: Publisher, reader: Reader) -> None:
    """With the key in use, somebody pushes version and list far ahead; after a rotation the honest list is taken."""
    targets = Metadata[Targets].from_file(str(publisher.feed / "metadata/1.targets.json")).signed
    for file in targets.targets.values():
        file.unrecognized_fields["custom"]["entries"] += 1
    online = sign_online(10**9, list(targets.targets.values()), load_roots(publisher.keys).signer_of, NOW_S + YEAR_S)
    for name, data in (("targets", online.targets), ("snapshot", online.snapshot)):
        (publisher.feed / f"metadata/{10**9}.{name}.json").write_bytes(data)
    honest = (publisher.feed / "metadata/timestamp.json").read_bytes()
    (publisher.feed / "metadata/timestamp.json").write_bytes(online.timestamp)
    reader.pull(publisher.feed)
    (publisher.feed / "metadata/timestamp.json").write_bytes(honest)
    rotate(publisher.keys, new_root_keys=False, also_with=(), expires_s=NOW_S + YEAR_S)
    publisher.bank.remove([1])
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {2}
    assert reader.pages[0].begins_whole


def test_a_root_needs_as_many_of_the_old_keys_as_were_agreed(make_publisher: Callable[..., Publisher]) -> None:
    publisher = make_publisher(keys=3, threshold=2)
    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    reader.pull(publisher.feed)
    away = publisher.folder / "away"
    away.mkdir()
    for number in (2, 3):
        shutil.move(publisher.keys / f"root-{number}.key", away)
    with pytest.raises(KeyUnavailable, match="too few root keys"):
        rotate(publisher.keys, new_root_keys=True, also_with=(), expires_s=NOW_S + YEAR_S)
    root = rotate(publisher.keys, new_root_keys=True, also_with=[away / "root-3.key"], expires_s=NOW_S + YEAR_S)
    assert (root.version, len(root.roles["root"].keyids), root.roles["root"].threshold) == (2, 3, 2)
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1}


def test_a_root_signed_by_too_few_is_not_followed(make_publisher: Callable[..., Publisher]) -> None:
    publisher = make_publisher(keys=2, threshold=2)
    reader = publisher.admit("B")
    publisher.publish()
    reader.pull(publisher.feed)
    rotate(publisher.keys, new_root_keys=True, also_with=(), expires_s=NOW_S + YEAR_S)
    path = publisher.keys / "2.root.json"
    told = json.loads(path.read_text())
    first = load_signer(publisher.keys / "root-1.key").public_key.keyid
    told["signatures"] = [s for s in told["signatures"] if s["keyid"] != first]
    (publisher.feed / "metadata/2.root.json").write_text(json.dumps(told))
    assert refused(reader, publisher.feed) == "unsigned"


def test_a_root_that_expired_ends_trust(publisher: Publisher, reader: Reader, clock: Clock) -> None:
    clock.now += 2 * YEAR_S
    assert refused(reader, publisher.feed) == "expired"


def test_the_wrong_subscriber_opens_nothing(publisher: Publisher, reader: Reader) -> None:
    stranger = Reader(make_subscriber_key(), reader.root, reader.clock)
    assert refused(stranger, publisher.feed) == "not-for-us"
    other = publisher.admit("other")
    publisher.publish()
    connector = other.connector(publisher.feed)
    connector._key = SubscriberKey(reader.key)  # reads the other's files, as the signed names allow
    path = only_file(publisher, f"targets/{other.id}/*.age")
    with pytest.raises(pyrage.DecryptError):
        connector._key.open(path.read_bytes())


def test_contents_for_another_in_the_place_of_ours(publisher: Publisher, reader: Reader) -> None:
    other = publisher.admit("other", tlp="clear")
    publisher.bank.add([entry(3)])
    publisher.publish()
    theirs = only_file(publisher, f"targets/{other.id}/*.age").read_bytes()
    only_file(publisher, f"targets/{reader.id}/*.2-1-0.age").write_bytes(theirs)
    assert refused(reader, publisher.feed) == "damaged"


def test_a_snapshot_that_names_no_targets(publisher: Publisher, reader: Reader) -> None:
    signer = load_roots(publisher.keys).signer
    expires = Metadata[Timestamp].from_file(str(publisher.feed / "metadata/timestamp.json")).signed.expires
    made = Metadata(Snapshot(5, expires=expires, meta={"targets.json": MetaFile(4)}))
    made.sign(signer)
    data = made.to_bytes(JSONSerializer(compact=True))
    (publisher.feed / "metadata/5.snapshot.json").write_bytes(data)
    top = Metadata(Timestamp(5, expires=expires, snapshot_meta=MetaFile.from_data(5, data, ["sha256"])))
    top.sign(signer)
    (publisher.feed / "metadata/timestamp.json").write_bytes(top.to_bytes(JSONSerializer(compact=True)))
    assert refused(reader, publisher.feed) == "mixed"


def test_no_root_is_no_subscription(publisher: Publisher, reader: Reader) -> None:
    for root in ('{"signed": {}}', (publisher.feed / "metadata/timestamp.json").read_text()):
        stranger = Reader(reader.key, root, reader.clock)
        with pytest.raises(ConfigError, match="not a feed's root"):
            stranger.pull(publisher.feed)


def test_a_link_in_the_place_of_a_file_is_not_followed(publisher: Publisher, reader: Reader) -> None:
    path = publisher.feed / "metadata/timestamp.json"
    shutil.copy(path, publisher.folder / "elsewhere.json")
    path.unlink()
    path.symlink_to(publisher.folder / "elsewhere.json")
    with pytest.raises(Exception, match="not read"):
        reader.pull(publisher.feed)
