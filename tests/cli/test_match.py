"""`leadline match` and `leadline compare`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from leadline.cli.match import read_lines

MD5, SHA1, SHA256, PDQ = "a1" * 16, "b2" * 20, "d4" * 32, "c3" * 32
NEAR = "c3" * 31 + "c0"  # two bits from PDQ


@pytest.mark.parametrize(
    ("text", "entry", "algorithm", "distance"),
    [
        (MD5, 7, "md5", 0),
        (MD5.upper(), 7, "md5", 0),
        (SHA1, 8, "sha1", 0),
        (SHA256, 9, "sha256", 0),
        (PDQ, 7, "pdq", 0),
        (NEAR, 7, "pdq", 2),
        (f"pdq:{NEAR}", 7, "pdq", 2),
    ],
)
def test_a_hash_finds_its_entry(run: Any, bank: Path, text: str, entry: int, algorithm: str, distance: int) -> None:
    ended = run("match", text, "--bank", bank, "--json")
    assert ended.code == 0
    (answer,) = ended.objects
    assert answer["query"] == text
    (match,) = answer["matches"]
    assert (match["bank"], match["entry"], match["algorithm"], match["distance"]) == (
        "known",
        entry,
        algorithm,
        distance,
    )


def test_the_radius_decides_what_is_near(run: Any, bank: Path) -> None:
    assert run("match", NEAR, "--bank", bank, "--json", "--radius", 1).objects[0]["matches"] == []
    assert len(run("match", NEAR, "--bank", bank, "--json", "--radius", 2).objects[0]["matches"]) == 1


def test_a_prefix_keeps_64_digits_to_one_kind(run: Any, bank: Path) -> None:
    assert run("match", f"sha256:{PDQ}", "--bank", bank, "--json").objects[0]["matches"] == []
    assert run("match", PDQ, "--hash-type", "sha256", "--bank", bank, "--json").objects[0]["matches"] == []


def test_every_line_has_its_answer_in_order(run: Any, bank: Path) -> None:
    lines = [MD5, "ff" * 16, "nonsense", f"{SHA1}  a name.jpg", "", MD5.upper() + "\r", NEAR]
    ended = run("match", "-", "--bank", bank, "--json", stdin="\n".join(lines).encode())
    assert ended.code == 3
    answers = ended.objects
    assert [[m["entry"] for m in a.get("matches", [])] for a in answers] == [[7], [], [], [8], [], [7], [7]]
    assert [n for n, a in enumerate(answers) if "error" in a] == [2, 4]
    assert answers[1] == {"query": "ff" * 16, "matches": []}
    assert answers[2]["error"]["code"] == "hash-format"
    assert len(ended.faults) == 2


def test_exit_codes_tell_whether_anything_was_looked_up(run: Any, bank: Path) -> None:
    assert run("match", "-", "--bank", bank, stdin=b"zz\n").code == 1
    assert run("match", "-", "--bank", bank, stdin=b"ff" * 16).code == 0
    assert run("match", "-", "--bank", bank, stdin=b"").code == 0


def test_people_read_one_line_a_match(run: Any, bank: Path) -> None:
    ended = run("match", MD5, "ff" * 16, "--bank", bank)
    assert ended.out == f"{MD5}\tillegal\tmd5 distance 0\tbank known entry 7 uk A\n{'ff' * 16}\tno match\n"


def test_an_empty_line_within_a_hash_is_no_hash(run: Any, bank: Path) -> None:
    ended = run("match", "a1 " * 10 + "a1", "--bank", bank, "--json")
    assert ended.code == 1


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1 << 20])
def test_lines_are_whole_however_they_arrive(size: int) -> None:
    class Slow(io.BytesIO):
        def read1(self, wanted: int | None = -1, /) -> bytes:
            return self.read(size)

    data = b"one\ntwo\n\n" + b"x" * 100 + b"\nlast"
    assert [line for lines in read_lines(Slow(data)) for line in lines] == data.split(b"\n")


def test_a_line_without_end_is_one_answer_and_not_kept(run: Any, bank: Path) -> None:
    ended = run("match", "-", "--bank", bank, "--json", stdin=b"f" * 3_000_000 + b"\n" + MD5.encode())
    assert ["error" in answer for answer in ended.objects] == [True, False]
    assert len(ended.out) < 2000


def test_a_line_that_is_no_text_is_answered(run: Any, bank: Path) -> None:
    ended = run("match", "-", "--bank", bank, "--json", stdin=b"\xff\xfe\x00\n" + MD5.encode())
    assert ["error" in answer for answer in ended.objects] == [True, False]


def test_two_hashes_are_compared(run: Any) -> None:
    ended = run("compare", PDQ, NEAR, "--hash-type", "pdq", "--json")
    assert ended.code == 0
    assert ended.objects[0]["results"] == [{"algorithm": "pdq", "distance": 2, "transform": "original", "near": True}]
    assert run("compare", MD5, MD5.upper(), "--json").objects[0]["results"] == [{"algorithm": "md5", "equal": True}]
    assert run("compare", MD5, SHA1).code == 1


def test_files_are_compared_in_all_turns(run: Any, pictures: Path) -> None:
    ended = run("compare", pictures / "one.png", pictures / "turned.png", "--json")
    results = {r["algorithm"]: r for r in ended.objects[0]["results"]}
    assert results["md5"]["equal"] is False
    assert results["pdq"]["near"] is True
    assert results["pdq"]["transform"] in ("rotate90", "rotate270")
    again = run("compare", pictures / "one.png", pictures / "other.jpg", "--json").objects[0]["results"]
    assert again[-1]["near"] is False


def test_a_file_and_a_hash_are_compared(run: Any, pictures: Path) -> None:
    pdq = run("hash", "--json", pictures / "one.png").objects[0]["pdq"]
    flipped = pictures / "flipped.png"
    Image.open(pictures / "one.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(flipped)
    for pair in ((f"pdq:{pdq}", flipped), (flipped, f"pdq:{pdq}")):
        (result,) = run("compare", *pair, "--json").objects[0]["results"]
        assert (result["near"], result["transform"]) == (True, "flip_y")


def test_a_picture_that_could_not_be_decoded_is_compared_by_its_exact_hashes_and_told(run: Any, pictures: Path) -> None:
    ended = run("compare", pictures / "broken.png", pictures / "one.png", "--json")
    assert ended.code == 3
    assert {r["algorithm"]: r["equal"] for r in ended.objects[0]["results"]}["sha256"] is False
    assert len(ended.faults) == 1
