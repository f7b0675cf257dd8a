"""The verifier of an exhibit, in process and as the lone file that an expert runs with plain Python."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.custody.conftest import draw_asset, facts_of

from leadline.custody import verify
from leadline.custody.anchor import encode_anchor
from leadline.custody.chain import encode_line
from leadline.custody.exhibit import build_exhibit
from leadline.custody.timestamps import prove_stamps, request_timestamp


@pytest.fixture
def exhibit(material: Any, tmp_path: Path) -> Path:
    material.build(tmp_path / "ex")
    return tmp_path / "ex"


def run(*arguments: object, folder: Path | None = None) -> tuple[int, str]:
    """verify.py as a stranger runs it: no site packages, no environment, no user's folder on the path."""
    file = folder / "verify.py" if folder else Path(verify.__file__)
    command = [sys.executable, "-I", "-S", str(file), *map(str, arguments)]
    ended = subprocess.run(command, env={}, capture_output=True, timeout=60)
    return ended.returncode, (ended.stdout + ended.stderr).decode()


def reseal(folder: Path) -> None:
    """What whoever changed the bag would do next: write the checksums anew."""
    for prefix, inside in (("manifest", True), ("tagmanifest", False)):
        for algorithm in ("sha256", "sha512"):
            lines = []
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                name = path.relative_to(folder).as_posix()
                if name.startswith("data/") is inside and not name.startswith("tagmanifest"):
                    lines.append(f"{hashlib.new(algorithm, path.read_bytes()).hexdigest()}  {name}\n")
            (folder / f"{prefix}-{algorithm}.txt").write_text("".join(lines))


def test_a_good_exhibit_is_well_with_plain_python(exhibit: Path, key: Any) -> None:
    code, told = run("--key", key.hex, folder=exhibit)
    assert code == 0, told
    assert "exhibit, 30 lines hold, 10 shown, 20 withheld; 15 files" in told
    assert f"anchored up to 20 by key {key.hex}" in told
    assert f"exhibit signed by key {key.hex}" in told
    assert "all well" in told


def test_running_it_leaves_the_exhibit_as_it_was(exhibit: Path) -> None:
    before = {path: path.read_bytes() for path in exhibit.rglob("*") if path.is_file()}
    run(folder=exhibit)
    assert {path: path.read_bytes() for path in exhibit.rglob("*") if path.is_file()} == before


def test_without_a_key_it_says_not_anchored(exhibit: Path, key: Any) -> None:
    code, told = run(folder=exhibit)
    assert code == 0
    assert "not anchored" in told
    assert f"a key you did not name, so it proves nothing: {key.hex}" in told


def test_it_takes_the_key_from_files_of_either_kind(exhibit: Path, key: Any, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(key.pem)
    (tmp_path / "key.txt").write_text(f"{key.hex.upper()}\n")
    for name in ("key.pem", "key.txt"):
        code, told = run("--key", tmp_path / name, folder=exhibit)
        assert code == 0
        assert f"anchored up to 20 by key {key.hex} ({name})" in told
    (tmp_path / "none").write_text("no key")
    assert run("--key", tmp_path / "none", folder=exhibit)[0] == 1


def test_an_exhibit_of_an_unknown_key_is_wrong_where_a_key_is_named(exhibit: Path, other_key: Any) -> None:
    code, told = run("--key", other_key.hex, folder=exhibit)
    assert code == 4
    assert "nothing here that holds is signed by a key you named" in told


@pytest.mark.parametrize(
    "name",
    ["data/custody.jsonl", "data/assets.json", "data/custody.html", "data/case.jsonld", "README.txt", "verify.py"],
)
def test_a_changed_file_is_named(exhibit: Path, key: Any, name: str) -> None:
    data = bytearray((exhibit / name).read_bytes())
    data[len(data) // 2] ^= 1
    (exhibit / name).write_bytes(data)
    code, told = run(exhibit, "--key", key.hex)
    assert code == 4
    assert f"WRONG {name}: is not what" in told


@pytest.mark.parametrize("name", ["data/assets.json", "data/custody.html", "data/case.jsonld", "data/exhibit.json"])
def test_a_changed_file_with_new_checksums_is_caught_by_the_signature(exhibit: Path, key: Any, name: str) -> None:
    path = exhibit / name
    path.write_bytes(path.read_bytes().replace(b"Hotline", b"Hotlime").replace(b"text/plain", b"text/plein"))
    reseal(exhibit)
    code, told = run(exhibit, "--key", key.hex)
    assert code == 4
    assert "WRONG signature.json" in told


def test_the_first_wrong_line_of_an_exhibit_is_named(exhibit: Path) -> None:
    path = exhibit / "data/custody.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[12] = lines[12].replace(b"person-0", b"person-1")
    path.write_bytes(b"".join(lines))
    reseal(exhibit)
    (exhibit / "signature.json").unlink()
    reseal(exhibit)
    code, told = run(exhibit, "--json")
    record = json.loads(told)
    assert code == 4
    assert record["first_wrong_line"] == 13
    assert record["lines"] == 12


def forge(folder: Path) -> None:
    """Another file and another recipient, put into a genuine exhibit, and all checksums made anew."""
    rows = json.loads((folder / "data/assets.json").read_text())
    rows[0]["hashes"]["sha256"], rows[0]["name"] = "f" * 64, "forged"
    (folder / "data/assets.json").write_text(json.dumps(rows))
    said = json.loads((folder / "data/exhibit.json").read_text()) | {"recipient": "Somebody else"}
    (folder / "data/exhibit.json").write_text(json.dumps(said))


def test_a_forged_exhibit_is_wrong_although_its_anchor_is_genuine(exhibit: Path, key: Any) -> None:
    forge(exhibit)
    (exhibit / "signature.json").unlink()
    reseal(exhibit)
    code, told = run(exhibit, "--key", key.hex)
    assert code == 4
    assert f"anchored up to 20 by key {key.hex}" in told  # which is why it has to be signed itself
    assert "WRONG signature.json: the exhibit itself is not signed by a key you named" in told
    assert "WRONG data/assets.json: no shown line says" in told


def test_a_recipient_put_in_is_wrong_where_a_key_is_named_and_never_all_well(exhibit: Path, key: Any) -> None:
    said = json.loads((exhibit / "data/exhibit.json").read_text()) | {"recipient": "Somebody else"}
    (exhibit / "data/exhibit.json").write_text(json.dumps(said))
    (exhibit / "signature.json").unlink()
    reseal(exhibit)
    assert run(exhibit, "--key", key.hex)[0] == 4
    told = run(exhibit)[1]
    assert told.splitlines()[-1].startswith("  NOT SIGNED: it fits itself, and everything under data/ may")
    assert json.loads(run(exhibit, "--json")[1])["signed"] is False


def test_a_forged_exhibit_signed_by_a_stranger_is_wrong(exhibit: Path, key: Any, other_key: Any) -> None:
    forge(exhibit)
    reseal(exhibit)
    signed = json.loads((exhibit / "signature.json").read_bytes())
    signed["manifest_sha512"] = hashlib.sha512((exhibit / "manifest-sha512.txt").read_bytes()).hexdigest()
    signed["key"] = other_key.hex
    said = verify.encode_json({name: value for name, value in signed.items() if name != "signature"})
    signed["signature"] = other_key.sign(verify.EXHIBIT_MARK + said).hex()
    (exhibit / "signature.json").write_bytes(verify.encode_json(signed))
    reseal(exhibit)
    code, told = run(exhibit, "--key", key.hex)
    assert code == 4
    assert "is not signed by a key you named" in told
    assert "all well" not in run(exhibit)[1]


def test_files_of_one_exhibit_in_another_are_wrong(exhibit: Path, material: Any, key: Any, tmp_path: Path) -> None:
    other = dataclasses.replace(material.facts, exhibit_id="ex-8")
    assets = [facts_of(draw_asset(1), "other.txt")]
    signer = {"sign": material.key.sign, "public_key": material.key.public}
    build_exhibit(tmp_path / "b", other, material.events, assets, anchors=[material.anchor(20)], **signer)
    shutil.copy(tmp_path / "b/data/assets.json", exhibit / "data/assets.json")
    reseal(exhibit)
    code, told = run(exhibit)
    assert code == 4
    assert "WRONG signature.json" in told
    assert "WRONG data/assets.json: no shown line says" in told


def test_an_enclosed_file_that_belongs_to_no_asset_is_wrong(exhibit: Path) -> None:
    (exhibit / "data/assets").mkdir()
    (exhibit / f"data/assets/{'e' * 64}.age").write_bytes(b"made up")
    reseal(exhibit)
    code, told = run(exhibit)
    assert code == 4
    assert f"WRONG data/assets/{'e' * 64}.age: is enclosed, but of no asset" in told


@pytest.mark.parametrize("name", ["anchors", "timestamps"])
def test_a_folder_among_the_proofs_is_wrong_and_not_nothing_to_check(exhibit: Path, key: Any, name: str) -> None:
    (exhibit / "data" / name / "inner").mkdir(parents=True)
    code, told = run(exhibit, "--key", key.hex)
    assert code == 4
    assert f"{name}/inner is no file" in told


@pytest.mark.parametrize("version", ["3.9", "3.10"])
def test_an_older_python_says_the_same(exhibit: Path, key: Any, version: str) -> None:
    python = older_python(version)
    command = [python, "-I", "-S", str(exhibit / "verify.py"), "--key", key.hex]
    good = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout == run("--key", key.hex, folder=exhibit)[1]
    forge(exhibit)
    reseal(exhibit)
    assert subprocess.run(command, env={}, capture_output=True, timeout=60).returncode == 4


def older_python(version: str) -> str:
    """Where it is installed, by the system or by pyenv; else the form alone is checked, below."""
    found = [shutil.which(f"python{version}"), *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for path in filter(None, found):
        asked = subprocess.run([path, "--version"], env={}, capture_output=True, text=True, check=False)
        if asked.stdout.startswith(f"Python {version}."):  # a shim without its environment is none
            return str(path)
    pytest.skip(f"Python {version} is not installed")


@pytest.mark.parametrize("missing", ["data/custody.jsonl", "manifest-sha512.txt", "bagit.txt", "data/exhibit.json"])
def test_a_missing_file_is_never_well(exhibit: Path, missing: str) -> None:
    (exhibit / missing).unlink()
    code, told = run(exhibit)
    assert code == (1 if missing == "bagit.txt" else 4)
    assert missing in told


def test_a_file_put_in_is_named(exhibit: Path) -> None:
    (exhibit / "data/extra.txt").write_text("more")
    (exhibit / "note.txt").write_text("more")
    code, told = run(exhibit)
    assert code == 4
    assert "WRONG data/extra.txt: is not in manifest-sha256.txt" in told
    assert "WRONG note.txt: is not in tagmanifest-sha512.txt" in told


@pytest.mark.parametrize("kind", ["file", "folder", "fifo"])
def test_links_and_devices_are_named_and_never_opened(exhibit: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a").write_text("outside")
    if kind == "file":
        (exhibit / "data/link").symlink_to(secret / "a")
    elif kind == "folder":
        shutil.rmtree(exhibit / "data/anchors")
        (exhibit / "data/anchors").symlink_to(secret)
    else:
        os.mkfifo(exhibit / "data/pipe")
    code, told = run(exhibit)
    assert code == 4
    assert "is no ordinary file: not opened" in told


def test_a_manifest_cannot_lead_out_of_the_bag(exhibit: Path) -> None:
    for name in ("manifest-sha256.txt", "manifest-sha512.txt"):
        with (exhibit / name).open("a") as stream:
            stream.write("0" * (64 if "256" in name else 128) + "  data/../../../etc/hosts\n")
    code, told = run(exhibit)
    assert code == 4
    assert "data/../../../etc/hosts: is in manifest-sha256.txt, but not there" in told


def test_hostile_names_cannot_drive_a_terminal(exhibit: Path) -> None:
    (exhibit / "data" / "a\x1b[31m\nall well\u202e").write_text("")
    (exhibit / "data" / os.fsdecode(b"\xff\xfe")).write_text("")
    code, told = run(exhibit)
    assert code == 4
    assert not {"\x1b", "\u202e"} & set(told)
    assert not any(line.startswith("all well") for line in told.splitlines())
    assert json.loads(run(exhibit, "--json")[1])["ok"] is False


def test_a_whole_exhibit_rewritten_with_a_new_key_is_caught(
    material: Any, drawn: Any, key: Any, other_key: Any, tmp_path: Path
) -> None:
    true_anchor = material.anchor(20)
    material.events, material.key = drawn(30, seed=9), other_key
    material.build(tmp_path / "forged")
    assert run(tmp_path / "forged")[0] == 0  # it fits itself
    assert run(tmp_path / "forged", "--key", key.hex)[0] == 4
    (tmp_path / "mailed.json").write_bytes(encode_anchor(true_anchor))
    code, told = run(tmp_path / "forged", "--anchor", tmp_path / "mailed.json")
    assert code == 4
    assert "mailed.json: shows another hash for line 20" in told


def test_lines_cut_from_an_exhibit_are_caught(exhibit: Path) -> None:
    path = exhibit / "data/custody.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:25]))
    (exhibit / "signature.json").unlink()
    reseal(exhibit)
    code, told = run(exhibit)
    assert code == 4
    assert "line 26 of data/custody.jsonl: the exhibit says that the chain ends at line 30" in told


def test_a_later_anchor_in_your_hand_says_nothing_of_an_earlier_exhibit(
    exhibit: Path, material: Any, drawn: Any, tmp_path: Path
) -> None:
    material.events = drawn(40)
    (tmp_path / "later.json").write_bytes(encode_anchor(material.anchor(40, at="2026-03-02T00:00:00.000Z")))
    code, told = run(exhibit, "--anchor", tmp_path / "later.json")
    assert code == 0
    assert "later.json shows line 40, but only 30 lines are here" in told


def test_an_earlier_anchor_in_your_hand_shows_that_lines_were_cut_before_the_exhibit_was_made(
    exhibit: Path, material: Any, drawn: Any, key: Any, tmp_path: Path
) -> None:
    material.events = drawn(40)
    (tmp_path / "mailed.json").write_bytes(encode_anchor(material.anchor(40, at="2026-02-28T00:00:00.000Z")))
    code, told = run(exhibit, "--anchor", tmp_path / "mailed.json", "--key", key.hex)
    assert code == 4
    assert "line 31 of mailed.json: shows line 40, but only 30 lines are here that hold: lines were cut off" in told


def test_an_exhibit_that_says_it_is_older_than_what_it_holds_gains_nothing_by_it(
    material: Any, drawn: Any, tmp_path: Path
) -> None:
    """Dated back before the mailed anchor, but with an own anchor that is later than it."""
    early = dataclasses.replace(material.facts, created_at="2026-02-01T00:00:00.000Z")
    signer = {"sign": material.key.sign, "public_key": material.key.public}
    build_exhibit(tmp_path / "ex", early, material.events, material.assets, anchors=[material.anchor(20)], **signer)
    material.events = drawn(40)
    (tmp_path / "mailed.json").write_bytes(encode_anchor(material.anchor(40, at="2026-02-28T00:00:00.000Z")))
    assert run(tmp_path / "ex", "--anchor", tmp_path / "mailed.json")[0] == 4


def test_an_anchor_of_another_chain_is_wrong_even_where_its_hash_fits(
    exhibit: Path, material: Any, tmp_path: Path
) -> None:
    (tmp_path / "other.json").write_bytes(encode_anchor(material.anchor(20, chain="hotline-2")))
    code, told = run(exhibit, "--anchor", tmp_path / "other.json")
    assert code == 4
    assert "other.json: is an anchor of another chain" in told


def test_an_exhibit_without_signature_or_anchor_says_so(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex", sign=None, anchors=[])
    code, told = run(tmp_path / "ex")
    assert code == 0
    assert "not anchored" in told
    assert "the exhibit is not signed" in told


def test_timestamps_are_matched_by_plain_python_and_judged_with_a_root(
    material: Any, authority: Any, make_authority: Callable[..., Any], tmp_path: Path
) -> None:
    stamp = request_timestamp(encode_anchor(material.anchor(20)), authority.answer, [authority.root])
    material.build(tmp_path / "ex", timestamps=[stamp])
    code, told = run(tmp_path / "ex")
    assert code == 0
    assert "1 timestamps: README.txt says" in told
    result = verify.check_path(tmp_path / "ex", {})
    prove_stamps(result, [authority.root])
    assert result.ok
    assert result.anchored.line == 20
    assert result.anchored.by.startswith("timestamp authority CN=Local Stamps at 2")
    strange = verify.check_path(tmp_path / "ex", {})
    prove_stamps(strange, [make_authority("Local").root])
    assert not strange.ok


def test_the_openssl_command_of_the_readme_works(material: Any, authority: Any, tmp_path: Path) -> None:
    stamp = request_timestamp(encode_anchor(material.anchor(20)), authority.answer, [authority.root])
    material.build(tmp_path / "ex", timestamps=[stamp])
    line = next(x for x in (tmp_path / "ex/README.txt").read_text().splitlines() if "openssl ts" in x)
    line = line.replace("NAME", "0001-line-20").replace("ROOT.pem", str(authority.root_file))
    ended = subprocess.run(line.split(), cwd=tmp_path / "ex", capture_output=True, timeout=30)
    assert b"Verification: OK" in ended.stdout + ended.stderr


def test_a_token_over_something_else_is_wrong(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex", timestamps=[material.token(20)])
    assert run(tmp_path / "ex")[0] == 0
    (tmp_path / "ex/data/timestamps/0001-line-20.1.tsr").write_bytes(material.token(19))
    reseal(tmp_path / "ex")
    code, told = run(tmp_path / "ex")
    assert code == 4
    assert "data/timestamps/0001-line-20.1.tsr: is not over an anchor that fits this chain" in told


@pytest.mark.parametrize("content", [b"", b"{}\n", b"PK\x03\x04zip", b"\0" * 100, None])
def test_what_is_no_chain_is_not_well(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "chain"
    if content is not None:
        path.write_bytes(content)
    code, told = run(path)
    assert code == (4 if content in (b"{}\n", b"\0" * 100) else 1)
    assert "chain" in told


def test_the_worst_of_several_paths_decides(exhibit: Path, tmp_path: Path, material: Any) -> None:
    (tmp_path / "bad").write_bytes(b"{}\n")
    (tmp_path / "good").write_bytes(b"".join(map(encode_line, material.events)))
    assert run(exhibit, tmp_path / "good")[0] == 0
    assert run(exhibit, tmp_path / "absent")[0] == 1
    assert run(tmp_path / "bad", tmp_path / "absent", exhibit)[0] == 4


def test_a_huge_chain_is_checked_in_little_memory(tmp_path: Path) -> None:
    """100,000 lines take no more than 1,000 do, but for what an allocator rounds up."""
    memory = {}
    for count in (1_000, 100_000):
        path, head = tmp_path / str(count), verify.GENESIS
        with path.open("wb") as stream:
            for number in range(1, count + 1):
                body_hash = f"{number:064x}"
                head = verify.hash_line(number, head, body_hash)
                stream.write(verify.encode_json({"body_hash": body_hash, "hash": head, "line": number}) + b"\n")
        process = subprocess.Popen([sys.executable, "-I", "-S", verify.__file__, path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert f"{count} lines hold".encode() in process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        memory[count] = usage.ru_maxrss
    assert memory[100_000] - memory[1_000] < 4_000  # KiB


def test_the_file_needs_nothing_but_the_standard_library_of_python_3_9() -> None:
    source = Path(verify.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {name.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for name in n.names}
    imported |= {str(n.module).split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
    assert not imported & {"socket", "ssl", "http", "urllib", "subprocess", "tomllib", "pickle", "zipfile"}


def test_the_bag_holds_this_very_file(exhibit: Path) -> None:
    assert (exhibit / "verify.py").read_bytes() == Path(verify.__file__).read_bytes()
