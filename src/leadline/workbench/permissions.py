"""Who may do what: permissions, the roles that bundle them, and how sensitive an object a role may see."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any

from django.http import HttpResponse

View = Callable[..., HttpResponse]


class Permission(StrEnum):
    """One thing a page or a route lets a person do. The first two ask for no role."""

    ANYONE = "anyone"
    SIGNED_IN = "signed-in"
    SEARCH = "search"
    REPORTS_READ = "reports.read"
    REPORTS_WRITE = "reports.write"
    REVIEW = "review"
    REVIEW_LEAD = "review.lead"
    APPEALS_WRITE = "appeals.write"
    OUTCOMES_WRITE = "outcomes.write"
    CASES_READ = "cases.read"
    CASES_WRITE = "cases.write"
    EVIDENCE_READ = "evidence.read"
    EVIDENCE_WRITE = "evidence.write"
    EVIDENCE_EXPORT = "evidence.export"
    EVIDENCE_RELEASE = "evidence.release"
    BANKS_READ = "banks.read"
    BANKS_WRITE = "banks.write"
    BANKS_APPROVE = "banks.approve"
    SHARING_READ = "sharing.read"
    SHARING_PROPOSE = "sharing.propose"
    SHARING_APPROVE = "sharing.approve"
    PARTNERS_MANAGE = "partners.manage"
    SOURCES_READ = "sources.read"
    JOURNAL_READ = "journal.read"
    PEOPLE_READ = "people.read"
    PEOPLE_MANAGE = "people.manage"
    PEOPLE_CONFIRM = "people.confirm"
    SETTINGS_MANAGE = "settings.manage"
    WEBHOOKS_MANAGE = "webhooks.manage"
    HEALTH_READ = "health.read"


class Sensitivity(IntEnum):
    """Of an object. A person sees it with a role of that clearance, or with a grant on that very object."""

    ORDINARY = 0
    SENSITIVE = 1
    RESTRICTED = 2


class Role(StrEnum):
    ANALYST = "analyst"
    SENIOR = "senior"
    INVESTIGATOR = "investigator"
    CURATOR = "curator"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


_P = Permission
_ANALYST = {
    _P.SEARCH, _P.REPORTS_READ, _P.REPORTS_WRITE, _P.EVIDENCE_READ, _P.EVIDENCE_WRITE, _P.BANKS_READ, _P.REVIEW,
    _P.CASES_READ, _P.CASES_WRITE, _P.APPEALS_WRITE, _P.OUTCOMES_WRITE, _P.SHARING_READ, _P.SHARING_PROPOSE,
    _P.SOURCES_READ,
}  # fmt: skip

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ANALYST: frozenset(_ANALYST),
    Role.SENIOR: frozenset(
        {*_ANALYST, _P.BANKS_WRITE, _P.BANKS_APPROVE, _P.EVIDENCE_EXPORT, _P.EVIDENCE_RELEASE, _P.PEOPLE_READ}
        | {_P.PEOPLE_CONFIRM, _P.HEALTH_READ, _P.REVIEW_LEAD, _P.SHARING_APPROVE}
    ),
    Role.INVESTIGATOR: frozenset({*_ANALYST, _P.EVIDENCE_EXPORT}),
    Role.CURATOR: frozenset(
        {_P.BANKS_READ, _P.BANKS_WRITE, _P.BANKS_APPROVE, _P.SEARCH, _P.SHARING_READ, _P.SHARING_PROPOSE}
        | {_P.SHARING_APPROVE, _P.SOURCES_READ}
    ),
    Role.AUDITOR: frozenset(
        {_P.JOURNAL_READ, _P.PEOPLE_READ, _P.HEALTH_READ, _P.SEARCH, _P.SHARING_READ, _P.SOURCES_READ}
    ),
    Role.ADMINISTRATOR: frozenset(
        {_P.PEOPLE_READ, _P.PEOPLE_MANAGE, _P.PEOPLE_CONFIRM, _P.SETTINGS_MANAGE, _P.HEALTH_READ}
        | {_P.PARTNERS_MANAGE, _P.SHARING_READ, _P.SOURCES_READ, _P.WEBHOOKS_MANAGE}
    ),
}
# Who holds one of these may come near evidence. A second person with one ends a one-person office.
EVIDENCE_ROLES = frozenset({Role.ANALYST, Role.SENIOR, Role.INVESTIGATOR})
CLEARANCE: dict[Role, Sensitivity] = {
    Role.ANALYST: Sensitivity.SENSITIVE,
    Role.SENIOR: Sensitivity.RESTRICTED,
    Role.INVESTIGATOR: Sensitivity.SENSITIVE,
}


def requires(permission: Permission, *, fresh: bool = False, files: bool = False) -> Callable[[View], View]:
    """Declare what a view asks for. `middleware.permission_gate` enforces it and refuses views that declare nothing.

    fresh  the person must have proved who they are within the last 15 minutes
    files  takes uploads: only such views get to read a large body (`entrance.bounded_bodies`)
    """

    def declare(view: Any) -> Any:
        view.permission, view.fresh, view.takes_files = permission, fresh, files
        return view

    return declare
