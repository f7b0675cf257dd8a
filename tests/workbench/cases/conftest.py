"""People who work on cases, drawn pictures, and a VICS case file beside a folder of such pictures."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind
from leadline.media.scenes import draw_scene
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases import actions
from leadline.workbench.cases.models import Case
from leadline.workbench.evidence import access as evidence
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.permissions import Role
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Report

US = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Cases"


@pytest.fixture(autouse=True)
def _new_office(office: Any) -> Iterator[None]:
    sealing.forget()
    yield
    sealing.forget()


@pytest.fixture(scope="session", autouse=True)
def _end_sandbox() -> Iterator[None]:
    yield
    matching.close_engine()


@pytest.fixture
def lead(make_person: Any) -> Person:
    person: Person = make_person("lead", Role.ANALYST)
    return person


@pytest.fixture
def case(lead: Person) -> Case:
    return actions.open_case(lead, "A made-up case")


def again(person: Person) -> Person:
    """As the next request gets them: with nothing remembered."""
    return Person.objects.get(pk=person.pk)


@functools.cache
def png(seed: int) -> bytes:
    out = BytesIO()
    Image.fromarray(draw_scene(seed, 96, 64)).save(out, "PNG")
    return out.getvalue()


def arrive(seed: int) -> Asset:
    return take_in(png(seed), actor=SYSTEM, source="test", name="drawn.png")


def reported(url: str, **more: Any) -> Report:
    incoming = IncomingReport(Channel.PUBLIC_FORM, (IncomingItem(ItemKind.URL, url),), text="made up")
    return reports.receive(incoming, channel=Channel.PUBLIC_FORM, actor="public-form", **more).report


@pytest.fixture
def set_mode(senior: Person) -> Callable[[str], None]:
    return lambda mode: set_office_setting(senior, evidence.MEDIA_MODE, mode, "a test") and None


# --- a case file -----------------------------------------------------------------------------------------------------


def record(number: int, data: bytes, **more: Any) -> dict[str, Any]:
    return {
        "MediaID": number,
        "Category": 1,
        "MD5": hashlib.md5(data).hexdigest().upper(),
        "SHA1": hashlib.sha1(data).hexdigest().upper(),
        "MediaSize": len(data),
        "RelativeFilePath": f"Media\\{number}.png",
        **more,
    }


MakeFile = Callable[..., Path]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """make_file(media, ...): a case file; further arguments are fields of its case."""

    def make(media: list[dict[str, Any]], *, name: str = "case.json", context: str = US, **fields: Any) -> Path:
        head = {"CaseID": "5b7f0b1e-1111-4222-8333-444455556666", "CaseNumber": "MADE-UP-7", **fields}
        path = tmp_path / name
        path.write_text(json.dumps({"@odata.context": context, "value": [{**head, "Media": media}]}))
        return path

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Drawn pictures 1 to 4 as Media/NUMBER.png."""
    found = tmp_path / "export"
    (found / "Media").mkdir(parents=True)
    for number in range(1, 5):
        (found / "Media" / f"{number}.png").write_bytes(png(number))
    return found
