"""Pages of evidence: what they show to whom, that none shows a picture, and that they stay fast."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.workbench.evidence.conftest import MakeBank, draw_png, exact_entry

from leadline.workbench.accounts.models import ObjectGrant, Person
from leadline.workbench.evidence import access, actions
from leadline.workbench.evidence.models import Asset, MediaMode
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role


def take(seed: int) -> Asset:
    return actions.take_in(draw_png(seed), actor="somebody", source="test")


def without_token(content: bytes) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", content)


def test_no_page_shows_a_picture_or_sends_a_byte_of_media(analyst: Person, client_of: Any) -> None:
    asset, client = take(1), client_of(analyst)
    for page in ("/evidence/assets/", f"/evidence/assets/{asset.pk}/", "/evidence/assets/tasks/", "/evidence/exhibits/"):
        answer = client.get(page)
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/html")
        assert not re.search(rb"<(img|video|picture|object|embed|canvas)\b|data:image", answer.content)


def test_the_list_tells_the_source_and_what_is_known_of_the_duration(analyst: Person, client_of: Any) -> None:
    asset, client = take(1), client_of(analyst)
    for facts, said in (
        ({"mime": "image/png"}, "—"), ({"mime": "image/gif", "frames": 12}, "12 frames"),
        ({"mime": "video/mp4", "frames": 1}, "unknown"),
    ):  # fmt: skip
        Asset.objects.filter(pk=asset.pk).update(source="public-form", **facts)
        assert f"<td>{said}</td><td>public form</td>" in client.get("/evidence/assets/").content.decode()


def test_a_hidden_asset_looks_like_an_absent_one(analyst: Person, senior: Person, client_of: Any) -> None:
    asset = take(1)
    Asset.objects.update(sensitivity=2)
    client = client_of(analyst)
    absent = client.get("/evidence/assets/00000000-0000-4000-8000-000000000000/")
    hidden = client.get(f"/evidence/assets/{asset.pk}/")
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert without_token(hidden.content) == without_token(absent.content)
    assert asset.sha256.encode()[:16] not in client.get("/evidence/assets/").content
    assert client_of(senior).get(f"/evidence/assets/{asset.pk}/").status_code == 200


def test_tlp_red_is_for_the_highest_clearance_or_a_grant(analyst: Person, senior: Person, client_of: Any) -> None:
    asset = take(1)
    Asset.objects.update(tlp="red")
    page = f"/evidence/assets/{asset.pk}/"
    assert client_of(analyst).get(page).status_code == 404
    assert client_of(senior).get(page).status_code == 200
    ObjectGrant.objects.create(
        person=analyst,
        object_kind="asset",
        object_id=str(asset.pk),
        until=timezone.now() + timedelta(days=1),
        given_by=senior,
    )
    assert client_of(analyst).get(page).status_code == 200


def test_an_administrator_decides_the_mode_and_sees_no_evidence(make_person: Any, client_of: Any) -> None:
    asset = take(1)
    client = client_of(make_person("administrator", Role.ADMINISTRATOR))
    assert client.get("/evidence/assets/").status_code == 404
    assert client.get(f"/evidence/assets/{asset.pk}/").status_code == 404
    said = {"mode": "refuse", "retention_days": "30"}
    assert b'role="alert"' in client.post("/evidence/media-mode/", said).content
    assert access.media_mode() is MediaMode.HASH_AND_DISCARD
    client.post("/evidence/media-mode/", said | {"legal_basis": "made-up law, section 2"})
    assert access.media_mode() is MediaMode.REFUSE
    assert b"made-up law, section 2" in client.get("/evidence/media-mode/").content
    assert Line.objects.filter(act="setting.changed", object_id="media-mode").count() == 1


def test_a_mode_that_was_not_offered_is_refused(make_person: Any, client_of: Any) -> None:
    client = client_of(make_person("administrator", Role.ADMINISTRATOR))
    client.post("/evidence/media-mode/", {"mode": "share", "retention_days": "30", "legal_basis": "made up"})
    assert access.media_mode() is MediaMode.HASH_AND_DISCARD


def test_an_upload_obeys_the_mode(analyst: Person, senior: Person, client_of: Any) -> None:
    client = client_of(analyst)

    def upload(seed: int) -> Any:
        return client.post("/evidence/assets/upload/", {"file": SimpleUploadedFile("a.png", draw_png(seed), "image/png")})

    assert upload(1).status_code == 302
    assert Asset.objects.get().state == "discarded"
    actions.set_media_mode(senior, MediaMode.REFUSE, "made-up law, section 2")
    assert upload(2).status_code == 200
    assert Asset.objects.count() == 1


def test_an_upload_without_its_form_token_is_refused(analyst: Person, client_of: Any) -> None:
    client = client_of(analyst)
    client.handler.enforce_csrf_checks = True
    answer = client.post("/evidence/assets/upload/", {"file": SimpleUploadedFile("a.png", draw_png(1))})
    assert answer.status_code == 403
    assert not Asset.objects.exists()


def test_a_list_is_found_by_hash_and_narrowed(analyst: Person, client_of: Any, make_bank: MakeBank) -> None:
    make_bank("KNOWN", exact_entry(draw_png(1)))
    known, other = take(1), take(2)
    client = client_of(analyst)

    def listed(query: str) -> tuple[bool, bool]:
        content = client.get(f"/evidence/assets/?{query}").content.decode()
        return known.sha256[:16] in content, other.sha256[:16] in content

    assert listed("") == (True, True)
    assert listed("verdict=known") == (True, False)
    assert listed(f"digest={other.sha1}") == (False, True)
    assert listed(f"digest={other.pdq}") == (False, True)
    assert listed("digest=%27--") == (False, False)
    assert listed("after=nonsense") == (True, True)


def many(count: int) -> None:
    now = timezone.now()
    Asset.objects.bulk_create(
        Asset(
            sha256=f"{number:016x}{0:048x}", sha1=f"{number:040x}", md5=f"{number:032x}", size_bytes=1, mime="image/png",
            state="discarded", source="test", received_at=now - timedelta(seconds=number // 3),
        )
        for number in range(count)
    )  # fmt: skip


def test_pages_follow_one_another_without_a_gap(analyst: Person, client_of: Any) -> None:
    many(120)
    client, seen, query = client_of(analyst), [], ""
    while True:
        content = client.get(f"/evidence/assets/{query}").content.decode()
        seen += re.findall(r"<code>([0-9a-f]{16})…</code>", content)
        following = re.search(r'rel="next" href="([^"]+)"', content)
        if following is None:
            break
        query = following[1].replace("&amp;", "&")
    wanted = Asset.objects.order_by("-received_at", "-id").values_list("sha256", flat=True)
    assert seen == [sha256[:16] for sha256 in wanted]


def test_a_long_list_is_counted_up_to_a_bound(analyst: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    many(30)
    assert access.count_up_to(Asset.objects.all(), 10) == 11
    with CaptureQueriesContext(connection) as asked:
        access.count_up_to(Asset.objects.all(), 10)
    assert "LIMIT 11" in asked[0]["sql"]


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="asks SQLite's planner")
def test_every_list_is_read_by_an_index(analyst: Person, client_of: Any) -> None:
    many(10)
    client = client_of(analyst)
    for query in ("", "?state=discarded", "?verdict=unknown", f"?digest={1:016x}{0:048x}"):
        with CaptureQueriesContext(connection) as asked:
            client.get(f"/evidence/assets/{query}")
        sql = next(q["sql"] for q in asked if 'FROM "evidence_asset"' in q["sql"] and "ORDER BY" in q["sql"])
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(row[-1] for row in cursor.fetchall())
        assert "USING INDEX" in plan or "MULTI-INDEX OR" in plan, plan
        if "digest" not in query:
            assert "TEMP B-TREE" not in plan, plan
