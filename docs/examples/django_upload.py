"""Django: an upload is asked about before anybody sees it. Whatever fails refuses it: nothing passes unasked."""

import os
from pathlib import Path

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from leadline.client import Client
from leadline.domain import Verdict
from leadline.errors import InputError, LeadlineError

service = Client(os.environ["MATCH_URL"], token_file=Path(os.environ["MATCH_TOKEN_FILE"]))


@require_POST
def upload(request: HttpRequest) -> JsonResponse:
    file = request.FILES["file"]
    try:
        scanned = service.scan(file)
    except LeadlineError as error:  # the file is at fault, or no answer came: either way it is not taken
        answer = {"status": "not taken", "code": error.code}
        return JsonResponse(answer, status=422 if isinstance(error, InputError) else 503)
    if scanned.verdict is Verdict.UNKNOWN and not scanned.notes:
        file.seek(0)
        return JsonResponse({"status": "shown", "sha256": scanned.sha256}, status=201)  # your own storage comes here
    # Known, near, unreadable, or not looked into as a whole (`notes`: an archive, a video's frames): somebody who is
    # trained for it decides. Your own queue comes here.
    return JsonResponse({"status": "held"}, status=202)
