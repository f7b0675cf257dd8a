"""Built exhibits do not outlive their purpose: their files go, their rows and lines of the journal stay."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from leadline.custody.anchor import sync_folder
from leadline.workbench.evidence import access
from leadline.workbench.evidence.models import AssetState, Exhibit, ExhibitState
from leadline.workbench.journal.actions import SYSTEM, record

KEPT_AFTER_RECEIPT = timedelta(days=30)
KEPT_AFTER_RELEASE = timedelta(days=90)


def remove_exhibits(now: datetime) -> int:
    """How many went: their receipt, or their release, is long ago, or a file that is enclosed was erased since."""
    ready = [ExhibitState.READY.value, ExhibitState.RECEIVED.value]
    is_over = Q(received_at__lte=now - KEPT_AFTER_RECEIPT) | Q(decided_at__lte=now - KEPT_AFTER_RELEASE)
    is_erased = ~Q(recipient_key="") & Q(assets__state=AssetState.ERASED.value)
    over = Exhibit.objects.filter(state__in=ready).filter(is_over | is_erased).distinct()
    return sum(map(_remove, over))


@transaction.atomic
def _remove(exhibit: Exhibit) -> bool:
    path = access.exhibit_path(exhibit.pk)
    if not path.exists():
        return False
    was_erased = exhibit.assets.filter(state=AssetState.ERASED.value).exists()
    reason = "asset-erased" if was_erased else "term-ended"
    record("exhibit.removed", actor=SYSTEM, object_kind="exhibit", object_id=str(exhibit.pk), reason=reason)
    path.unlink()
    sync_folder(path.parent)
    return True
