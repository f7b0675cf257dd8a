"""Pages of the journal."""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from leadline.custody.bag import pack_bag
from leadline.workbench import chain
from leadline.workbench.journal import access, actions
from leadline.workbench.permissions import Permission, requires


@requires(Permission.JOURNAL_READ)
def show_journal(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "").strip() for name in ("object_id", "actor", "act")}
    page = access.page_of_lines(request.GET.get("before", ""), **asked)
    anchors = {"anchor": access.latest_anchor(), "left": chain.last_that_left()}
    return render(request, "journal/lines.html", {"page": page, "asked": asked, **anchors})


@requires(Permission.JOURNAL_READ, fresh=True)
def download_chain(request: HttpRequest) -> HttpResponse:
    """The whole chain as it stands, for `leadline verify`; taking it is a line of it, hence POST."""
    if request.method != "POST":
        raise Http404
    line = actions.note_export(str(request.user.pk))
    told = StreamingHttpResponse(chain.lines(up_to=line), content_type="application/jsonl")
    told["Content-Disposition"] = f'attachment; filename="custody-{line}.jsonl"'
    return told  # type: ignore[return-value]


@requires(Permission.JOURNAL_READ, fresh=True)
def download_proofs(request: HttpRequest) -> HttpResponse:
    """Its anchors, their timestamps and the public key."""
    with tempfile.TemporaryDirectory() as place:
        folder, packed = Path(place, "anchors"), Path(place, "anchors.zip")
        chain.write_proofs(folder)
        pack_bag(folder, packed)
        answer = HttpResponse(packed.read_bytes(), content_type="application/zip")
    answer["Content-Disposition"] = 'attachment; filename="anchors.zip"'
    return answer
