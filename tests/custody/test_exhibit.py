"""Exhibits: what is in the bag, what never is, and that a stopped build leaves nothing that looks like one."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bagit
import pyrage
import pytest

from leadline.custody import verify
from leadline.custody.anchor import encode_anchor
from leadline.custody.bag import pack_bag
from leadline.custody.chain import decode_line
from leadline.custody.exhibit import build_exhibit
from leadline.custody.facts import AssetFacts
from leadline.errors import ChainBroken, CustodyError, CustodyFormatError, InputError


@pytest.fixture(scope="session")
def identity() -> Any:
    return pyrage.x25519.Identity.generate()


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_bag_is_a_valid_bag_to_the_librarians_own_tool(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    bag = bagit.Bag(str(tmp_path / "ex"))
    bag.validate()
    assert sorted(bag.algorithms) == ["sha256", "sha512"]
    assert bag.info["External-Identifier"] == "ex-7"
    assert bag.info["Source-Organization"] == "Hotline Example"


def test_it_holds_what_it_has_to_hold(material: Any, tmp_path: Path) -> None:
    built = material.build(tmp_path / "ex", timestamps=[material.token(20)])
    assert files_of(tmp_path / "ex") == {
        *("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "manifest-sha512.txt", "tagmanifest-sha256.txt"),
        *("tagmanifest-sha512.txt", "README.txt", "verify.py", "signature.json", "data/exhibit.json"),
        *("data/assets.json", "data/custody.jsonl", "data/custody.html", "data/case.jsonld"),
        *("data/anchors/0001-line-20.json", "data/timestamps/0001-line-20.1.tsr"),
    }
    assert built.head == material.events[-1].head
    assert built.shown == 10
    manifest = (tmp_path / "ex" / "manifest-sha512.txt").read_bytes()
    assert built.manifest_sha512 == hashlib.sha512(manifest).hexdigest()
    assert (tmp_path / "ex/data/anchors/0001-line-20.json").read_bytes() == encode_anchor(material.anchor(20))


def test_only_the_lines_of_its_objects_are_shown_and_the_rest_as_hashes(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    lines = (tmp_path / "ex/data/custody.jsonl").read_bytes().splitlines()
    assert len(lines) == 30
    mine = material.assets[0].asset_id
    for event, line in zip(material.events, lines, strict=True):
        if event.object_id == mine:
            assert decode_line(line) == event
        else:
            assert set(json.loads(line)) == {"body_hash", "hash", "line"}
    others = {event.object_id for event in material.events} - {mine}
    assert len(others) == 2
    for path in (tmp_path / "ex").rglob("*"):
        assert path.is_dir() or not any(other.encode() in path.read_bytes() for other in others), path


def test_more_objects_are_shown_where_they_are_named(material: Any, tmp_path: Path) -> None:
    case = material.events[1].object_id
    facts = dataclasses.replace(material.facts, objects=frozenset({case}))
    assert build_exhibit(tmp_path / "ex", facts, material.events, material.assets).shown == 20


def test_no_asset_is_enclosed_by_default(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "a")
    material.build(tmp_path / "b", open_asset=material.pieces)
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert not (folder / "data/assets").exists()
        assert not any(material.content[:20] in path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert json.loads((folder / "data/assets.json").read_bytes())[0]["file"] == ""


def test_an_asset_is_enclosed_encrypted_to_its_recipient_only(material: Any, identity: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex", recipient=str(identity.to_public()), open_asset=material.pieces)
    asset = material.assets[0]
    path = tmp_path / "ex/data/assets" / f"{asset.sha256}.age"
    assert json.loads((tmp_path / "ex/data/assets.json").read_bytes())[0]["file"] == f"data/assets/{asset.sha256}.age"
    assert path.read_bytes().startswith(b"age-encryption.org/v1\n-> X25519 ")  # the format of the `age` tool
    assert pyrage.decrypt(path.read_bytes(), [identity]) == material.content
    names = (tmp_path / "ex/data/names.json.age").read_bytes()
    assert json.loads(pyrage.decrypt(names, [identity])) == {asset.asset_id: asset.name}
    assert not any(asset.name.encode() in p.read_bytes() for p in (tmp_path / "ex").rglob("*") if p.is_file())
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(path.read_bytes(), [pyrage.x25519.Identity.generate()])
    assert not any(material.content[:20] in p.read_bytes() for p in (tmp_path / "ex").rglob("*") if p.is_file())


@pytest.mark.parametrize("recipient", ["", "age1", "somebody", "AGE-SECRET-KEY-1QQQ", "ssh-ed25519 AAAA"])
def test_a_recipient_that_is_none_is_refused_before_anything_is_written(
    material: Any, tmp_path: Path, recipient: str
) -> None:
    with pytest.raises(CustodyFormatError, match="no age recipient"):
        material.build(tmp_path / "ex", recipient=recipient, open_asset=material.pieces)
    assert os.listdir(tmp_path) == []


def test_a_recipient_without_assets_to_open_is_refused(material: Any, identity: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to enclose"):
        material.build(tmp_path / "ex", recipient=str(identity.to_public()))


def test_what_the_vault_gives_has_to_be_the_asset(material: Any, identity: Any, tmp_path: Path) -> None:
    def other(asset_id: str) -> Iterator[bytes]:
        yield material.content[:-1] + b"!"

    with pytest.raises(CustodyError, match="not this asset"):
        material.build(tmp_path / "ex", recipient=str(identity.to_public()), open_asset=other)
    assert os.listdir(tmp_path) == []


def test_a_fault_of_the_vault_comes_out_as_itself(material: Any, identity: Any, tmp_path: Path) -> None:
    def fail(asset_id: str) -> Iterator[bytes]:
        yield b"a"
        raise PermissionError("vault closed")

    with pytest.raises(PermissionError, match="vault closed"):
        material.build(tmp_path / "ex", recipient=str(identity.to_public()), open_asset=fail)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("change", ["gap", "other", "late", "none"])
def test_no_exhibit_leaves_from_a_chain_that_does_not_hold(
    material: Any, drawn: Any, tmp_path: Path, change: str
) -> None:
    good = material.events
    material.events = {
        "gap": good[:5] + good[6:],
        "other": good[:5] + drawn(6, seed=4)[5:],
        "late": good[1:],
        "none": [],
    }[change]
    with pytest.raises(ChainBroken):
        material.build(tmp_path / "ex", anchors=[])
    assert os.listdir(tmp_path) == []


def test_no_exhibit_leaves_with_an_anchor_that_does_not_fit(material: Any, drawn: Any, tmp_path: Path) -> None:
    good = material.anchor(20)
    of_another_chain, behind = material.anchor(20, chain="hotline-2"), material.anchor(25)
    material.events = drawn(30, seed=4)
    with pytest.raises(ChainBroken, match="anchor"):
        material.build(tmp_path / "ex", anchors=[good])
    material.events = drawn(20)
    for anchor in (of_another_chain, behind):
        with pytest.raises(ChainBroken, match="anchor"):
            material.build(tmp_path / "ex", anchors=[anchor])
    assert os.listdir(tmp_path) == []


def test_no_exhibit_leaves_with_a_timestamp_over_something_else(material: Any, tmp_path: Path) -> None:
    for token in (b"", b"token", material.token(19)):
        with pytest.raises(CustodyFormatError, match="not over an anchor"):
            material.build(tmp_path / "ex", timestamps=[token])
    assert os.listdir(tmp_path) == []


def test_a_key_that_does_not_fit_its_signer_is_refused(material: Any, other_key: Any, tmp_path: Path) -> None:
    with pytest.raises(CustodyFormatError, match="signature"):
        material.build(tmp_path / "ex", public_key=other_key.public)


def test_an_exhibit_that_stands_is_never_touched(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    before = {path: path.read_bytes() for path in (tmp_path / "ex").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="stands there already"):
        material.build(tmp_path / "ex")
    assert {path: path.read_bytes() for path in (tmp_path / "ex").rglob("*") if path.is_file()} == before


def test_two_builders_of_one_exhibit_do_not_meet(material: Any, identity: Any, tmp_path: Path) -> None:
    told = []

    def meanwhile(asset_id: str) -> Iterator[bytes]:
        with pytest.raises(InputError, match="being built") as caught:
            material.build(tmp_path / "ex")
        told.append(caught.value)
        yield from material.pieces(asset_id)

    material.build(tmp_path / "ex", recipient=str(identity.to_public()), open_asset=meanwhile)
    assert len(told) == 1
    assert verify.check_path(tmp_path / "ex", {}).ok


@pytest.mark.parametrize(
    "wrong",
    [
        {"hashes": {"md5": "a" * 32}},
        {"hashes": {"sha256": "A" * 64}},
        {"hashes": {"sha256": "a" * 63}},
        {"hashes": {"sha256": "a" * 64, "crc": "aaaa"}},
        {"size_bytes": -1},
        {"asset_id": "../../etc"},
        {"received_at": "yesterday"},
        {"viewed": "yes"},
    ],
)
def test_facts_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    given = {"asset_id": "a", "hashes": {"sha256": "a" * 64}, "size_bytes": 1} | wrong
    with pytest.raises(CustodyFormatError):
        AssetFacts(**given)


def test_ids_of_an_exhibit_are_checked(material: Any) -> None:
    for wrong in ({"exhibit_id": "../x"}, {"chain_id": ""}, {"created_at": "now"}, {"released_by": ("a b",)}):
        with pytest.raises(CustodyFormatError):
            dataclasses.replace(material.facts, **wrong)
    with pytest.raises(CustodyFormatError, match="too long"):
        dataclasses.replace(material.facts, organisation="a" * 1001)


HOSTILE = "</title><script>alert(1)</script>\"'&\u202egnp.exe\r\nX-Header: 1\x1b[31m\x00\udcff%0a{0}{exhibit}"


def test_hostile_texts_break_no_page_no_line_and_no_template(material: Any, tmp_path: Path) -> None:
    material.name = HOSTILE
    facts = dataclasses.replace(material.facts, organisation=HOSTILE, reference=HOSTILE, recipient=HOSTILE)
    assets = [dataclasses.replace(material.assets[0], media_type=HOSTILE)]
    build_exhibit(tmp_path / "ex", facts, material.events, assets)
    page = (tmp_path / "ex/data/custody.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for name in ("data/custody.html", "README.txt", "bag-info.txt", "data/case.jsonld"):
        text = (tmp_path / "ex" / name).read_text("utf-8")
        assert not {"\u202e", "\x1b", "\x00", "\r"} & set(text)
        assert "\nX-Header" not in text
    assert json.loads((tmp_path / "ex/data/assets.json").read_text())[0]["name"] == HOSTILE
    bagit.Bag(str(tmp_path / "ex")).validate()
    assert verify.check_path(tmp_path / "ex", {}).ok


def test_the_printable_page_loads_and_runs_nothing(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    page = (tmp_path / "ex/data/custody.html").read_text("utf-8")
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    for sign in ("<script", "javascript:", " src=", " href=", "http:", "https:", "@import", "url("):
        assert sign not in page, sign
    assert not re.search(r"\son\w+=", page)
    for event in material.events:
        assert (f"<td>{event.at}</td>" in page) is (event.object_id == material.assets[0].asset_id)
    assert material.anchor(20).head in page


def test_the_readme_says_what_it_proves_and_what_not(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    readme = (tmp_path / "ex/README.txt").read_text("utf-8")
    for text in ("EXHIBIT ex-7", "30 lines, of which 10", "MAY CONCLUDE", "NOBODY MAY", "openssl ts -verify", "age -d"):
        assert text in readme
    assert max(map(len, readme.splitlines())) <= 120


def test_a_zip_of_a_bag_is_the_same_bytes_every_time(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    first = pack_bag(tmp_path / "ex", tmp_path / "a.zip")
    for path in (tmp_path / "ex").rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert pack_bag(tmp_path / "ex", tmp_path / "b.zip") == first
    assert first == hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest()
    with pytest.raises(FileExistsError):
        pack_bag(tmp_path / "ex", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        packed.extractall(tmp_path / "out")
    assert verify.check_path(tmp_path / "out/ex", {}).ok


# --- stopped half-way ------------------------------------------------------------------------------------------------


class SmallDisk:
    """Files of this process may not grow beyond `size_bytes`, as on a disk that is full."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes

    def __enter__(self) -> None:
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size_bytes, self._limits[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        signal.signal(signal.SIGXFSZ, self._handler)


@pytest.mark.parametrize("size_bytes", [100, 3000, 15_000, 60_000])
def test_a_full_disk_leaves_nothing_and_says_so(material: Any, identity: Any, tmp_path: Path, size_bytes: int) -> None:
    with SmallDisk(size_bytes), pytest.raises(OSError) as caught:
        material.build(tmp_path / "ex", recipient=str(identity.to_public()), open_asset=material.pieces)
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_no_half_zip(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    with SmallDisk(5000), pytest.raises(OSError) as caught:
        pack_bag(tmp_path / "ex", tmp_path / "ex.zip")
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == ["ex"]


BUILDER = """
import sys, time
from pathlib import Path
from leadline.custody.chain import next_event
from leadline.custody.exhibit import build_exhibit
from leadline.custody.facts import AssetFacts, ExhibitFacts
import hashlib
content = b"drawn bytes" * 50_000
digest = hashlib.sha256(content).hexdigest()
at = "2026-03-01T12:00:00.000Z"
def stop(where):
    if where == sys.argv[2]:
        print(where, flush=True)
        time.sleep(60)
def events():
    event = None
    for number in range(200):
        event = next_event(event, at=at, actor="a", act="b", object_kind="asset", object_id=digest, reason="c")
        yield event
        if number == 150:
            stop("custody")
def pieces(asset_id):
    yield content[:300_000]
    stop("asset")
    yield content[300_000:]
def sign(message):
    stop("signature")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    return Ed25519PrivateKey.from_private_bytes(bytes(32)).sign(message)
facts = ExhibitFacts("ex-7", "chain-1", "Hotline Example", at, ("a", "b"))
public = bytes.fromhex("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")
build_exhibit(Path(sys.argv[1]), facts, events(), [AssetFacts(digest, {"sha256": digest}, len(content))],
              recipient=sys.argv[3], open_asset=pieces, sign=sign, public_key=public)
"""


@pytest.mark.parametrize("moment", ["custody", "asset", "signature"])
def test_a_killed_build_leaves_no_exhibit_and_the_next_one_stands(tmp_path: Path, identity: Any, moment: str) -> None:
    folder, environment = tmp_path / "ex", os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", textwrap.dedent(BUILDER), str(folder), moment, str(identity.to_public())]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{moment}\n".encode()
        process.kill()
    assert os.listdir(tmp_path) == [".ex.partial"]
    command[4] = "never"
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert os.listdir(tmp_path) == ["ex"]
    assert verify.check_path(folder, {}).ok
