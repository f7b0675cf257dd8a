"""An exhibit as CASE/UCO JSON-LD, for the tools of laboratories and courts. Says nothing that the exhibit does not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

from leadline.custody.chain import CustodyEvent
from leadline.custody.facts import AssetFacts, ExhibitFacts
from leadline.custody.verify import show_text

CONTEXT = {
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "uco-action": "https://ontology.unifiedcyberontology.org/uco/action/",
    "uco-core": "https://ontology.unifiedcyberontology.org/uco/core/",
    "uco-identity": "https://ontology.unifiedcyberontology.org/uco/identity/",
    "uco-observable": "https://ontology.unifiedcyberontology.org/uco/observable/",
    "uco-types": "https://ontology.unifiedcyberontology.org/uco/types/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_HASH_NAMES = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256", "sha512": "SHA512"}  # uco-vocabulary:HashNameVocab
_Node = dict[str, object]


def encode_case(facts: ExhibitFacts, assets: Sequence[AssetFacts], events: Sequence[CustodyEvent]) -> bytes:
    """JSON-LD bytes (CASE 1.x). `events`: those shown in full, in order. PDQ has no name in UCO and is left out."""
    graph = _Graph(facts)
    graph.add_record(assets)
    for asset in assets:
        graph.add_file(asset)
    for event in events:
        graph.add_action(event)
    document = {"@context": CONTEXT, "@graph": graph.nodes}
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


class _Graph:
    def __init__(self, facts: ExhibitFacts) -> None:
        self._facts = facts
        self._known: set[str] = set()
        self._last_action = ""
        self.nodes: list[_Node] = []

    def _id(self, kind: str, name: str) -> str:
        """The same thing of the same exhibit has the same identifier, however often it is exported."""
        named = ascii(("leadline", self._facts.chain_id, self._facts.exhibit_id, kind, name))
        return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, named)}"

    def _refer(self, kind: str, name: str, node_type: str) -> _Node:
        """A reference to a thing known by its name alone; the thing is added when it is first met."""
        identifier = self._id(kind, name)
        if identifier not in self._known:
            self._known.add(identifier)
            self.nodes.append({"@id": identifier, "@type": node_type, "uco-core:name": show_text(name)})
        return {"@id": identifier}

    def add_record(self, assets: Sequence[AssetFacts]) -> None:
        facts = self._facts
        record = {"@id": self._id("record", facts.exhibit_id)}
        issuer = self._refer("organisation", facts.organisation, "uco-identity:Organization")
        self.nodes.append(
            {
                **record,
                "@type": "case-investigation:ProvenanceRecord",
                "case-investigation:exhibitNumber": facts.exhibit_id,
                "uco-core:createdBy": issuer,
                "uco-core:objectCreatedTime": _time(facts.created_at),
                "uco-core:object": [{"@id": self._id("asset", asset.asset_id)} for asset in assets] or [issuer],
            }
        )
        self.nodes.append(
            {
                "@id": self._id("investigation", facts.exhibit_id),
                "@type": "case-investigation:Investigation",
                "uco-core:name": show_text(facts.reference or facts.exhibit_id),
                "uco-core:object": [record],
            }
        )

    def add_file(self, asset: AssetFacts) -> None:
        size = {"@type": "xsd:integer", "@value": str(asset.size_bytes)}
        content: _Node = {
            "@id": self._id("content", asset.asset_id),
            "@type": "uco-observable:ContentDataFacet",
            "uco-observable:sizeInBytes": size,
            "uco-observable:hash": [
                self._hash(asset, n, v) for n, v in sorted(asset.hashes.items()) if n in _HASH_NAMES
            ],
        }
        if asset.media_type:
            content["uco-observable:mimeType"] = show_text(asset.media_type)
        file: _Node = {
            "@id": self._id("file", asset.asset_id),
            "@type": "uco-observable:FileFacet",
            "uco-observable:sizeInBytes": size,
        }
        if asset.name:
            file["uco-observable:fileName"] = show_text(asset.name)
        identifier = self._id("asset", asset.asset_id)
        self._known.add(identifier)
        self.nodes.append(
            {"@id": identifier, "@type": "uco-observable:File", "uco-core:hasFacet": [file, content]}
        )  # fmt: skip

    def _hash(self, asset: AssetFacts, algorithm: str, digits: str) -> _Node:
        return {
            "@id": self._id(f"hash-{algorithm}", asset.asset_id),
            "@type": "uco-types:Hash",
            "uco-types:hashMethod": _HASH_NAMES[algorithm],  # plain text since UCO 1.4.0
            "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": digits},
        }

    def add_action(self, event: CustodyEvent) -> None:
        identifier = self._id("action", str(event.line))
        node: _Node = {
            "@id": identifier,
            "@type": "case-investigation:InvestigativeAction",
            "uco-core:name": event.act,
            "uco-core:description": f"custody line {event.line}, reason {event.reason}",
            "uco-action:startTime": _time(event.at),
            "uco-action:endTime": _time(event.at),
            "uco-action:performer": self._refer("actor", event.actor, "uco-identity:Identity"),
            "uco-action:object": self._refer(_kind(event), event.object_id, "uco-core:UcoObject"),
        }
        if self._last_action:
            node["case-investigation:wasInformedBy"] = {"@id": self._last_action}
        self._last_action = identifier
        self.nodes.append(node)


def _kind(event: CustodyEvent) -> str:
    return "asset" if event.object_kind == "asset" else f"object-{event.object_kind}"


def _time(at: str) -> _Node:
    return {"@type": "xsd:dateTime", "@value": at}
