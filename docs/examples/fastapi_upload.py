"""FastAPI: an upload is asked about before anybody sees it. Whatever fails refuses it: nothing passes unasked."""

import os
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, UploadFile

from leadline.client import AsyncClient
from leadline.domain import Verdict
from leadline.errors import InputError, LeadlineError

app = FastAPI()
app.state.service = AsyncClient(os.environ["MATCH_URL"], token_file=Path(os.environ["MATCH_TOKEN_FILE"]))


@app.post("/upload")
async def upload(request: Request, file: UploadFile) -> dict[str, str]:
    try:
        scanned = await request.app.state.service.scan(file.file)
    except LeadlineError as error:  # the file is at fault, or no answer came: either way it is not taken
        raise HTTPException(422 if isinstance(error, InputError) else 503, error.code) from None
    if scanned.verdict is Verdict.UNKNOWN and not scanned.notes:
        return {"status": "shown", "sha256": scanned.sha256}  # your own storage comes here
    # Known, near, unreadable, or not looked into as a whole (`notes`: an archive, a video's frames): somebody who is
    # trained for it decides. Your own queue comes here.
    return {"status": "held"}
