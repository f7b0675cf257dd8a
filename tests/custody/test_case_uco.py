"""CASE/UCO: valid to the community's own validator, and saying no more than the exhibit does."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from leadline.custody.case_uco import encode_case


def validate(path: Path) -> tuple[bool, str]:
    """What `case_validate` says; it ships its ontologies and needs no network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rdflib itself
        from case_utils.case_validate import validate as case_validate

        result = case_validate(str(path), allow_warnings=False, inference="none")
    return result.conforms, result.text


def test_an_exhibit_passes_case_validate(material: Any, tmp_path: Path) -> None:
    material.build(tmp_path / "ex")
    path = tmp_path / "ex/data/case.jsonld"
    conforms, text = validate(path)
    assert conforms, text


def test_hostile_names_and_bare_facts_pass_too(material: Any, tmp_path: Path) -> None:
    name = 'a"b<c>\\d\u202e\x00\udcff\n{}'
    rich = dataclasses.replace(material.assets[0], name=name, media_type=name)
    rich = dataclasses.replace(rich, hashes={**rich.hashes, "pdq": "d" * 64, "sha512": "e" * 128})
    bare = dataclasses.replace(rich, asset_id="x", media_type="", received_at="", name="")
    path = tmp_path / "case.jsonld"
    path.write_bytes(encode_case(material.facts, [rich, bare], material.events[:4]))
    conforms, text = validate(path)
    assert conforms, text
    path.write_bytes(encode_case(material.facts, [], []))
    conforms, text = validate(path)
    assert conforms, text


def test_the_validator_can_fail(material: Any, tmp_path: Path) -> None:
    path = tmp_path / "case.jsonld"
    data = encode_case(material.facts, material.assets, material.events[:1])
    path.write_bytes(data.replace(b"uco-action:startTime", b"uco-action:begunAt"))
    assert not validate(path)[0]


@pytest.fixture
def graph(material: Any) -> list[dict[str, Any]]:
    document = json.loads(encode_case(material.facts, material.assets, material.events[::3]))
    nodes: list[dict[str, Any]] = document["@graph"]
    return nodes


def test_every_shown_line_is_an_action_in_order(material: Any, graph: list[dict[str, Any]]) -> None:
    actions = [node for node in graph if node["@type"] == "case-investigation:InvestigativeAction"]
    assert len(actions) == 10
    assert [action["uco-action:startTime"]["@value"] for action in actions] == [e.at for e in material.events[::3]]
    informed = [action["case-investigation:wasInformedBy"]["@id"] for action in actions[1:]]
    assert informed == [action["@id"] for action in actions[:-1]]


def test_the_file_has_its_hashes_and_the_record_its_number(material: Any, graph: list[dict[str, Any]]) -> None:
    (file,) = (node for node in graph if node["@type"] == "uco-observable:File")
    content = next(f for f in file["uco-core:hasFacet"] if f["@type"] == "uco-observable:ContentDataFacet")
    sums = {h["uco-types:hashMethod"]: h["uco-types:hashValue"]["@value"] for h in content["uco-observable:hash"]}
    hashes = material.assets[0].hashes
    assert sums == {"MD5": hashes["md5"], "SHA1": hashes["sha1"], "SHA256": hashes["sha256"]}
    (record,) = (node for node in graph if node["@type"] == "case-investigation:ProvenanceRecord")
    assert record["case-investigation:exhibitNumber"] == "ex-7"
    assert record["uco-core:object"] == [{"@id": file["@id"]}]


def test_the_same_exhibit_gives_the_same_bytes(material: Any) -> None:
    first = encode_case(material.facts, material.assets, material.events)
    assert encode_case(material.facts, material.assets, material.events) == first
