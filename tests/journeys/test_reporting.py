"""A report from the public form to an answer, an upload that stays in memory, and a chain that an expert checks."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

from PIL import Image
from tests.journeys.test_newcomer import set_up

from leadline.media.scenes import draw_scene

ADDRESS = "https://pictures.example.net/made-up/7"
QUESTION, ANSWER = "On which day did you see it?", "On Monday, in the morning."


def report_anonymously(page: Any, address: str) -> str:
    """By the public form, as a stranger; the passphrase of the receipt."""
    page.goto(f"{address}/en/report/")
    page.get_by_label("Web addresses").fill(ADDRESS)
    page.get_by_label("What do you want to tell us?").fill("I came across this by chance.")
    time.sleep(3.2)  # the form takes nothing that is sent faster than a person can
    page.get_by_role("button", name="Send the report").click()
    page.get_by_role("heading", name="Your report is with us").wait_for()
    return str(page.locator(".passphrase").inner_text())


def read_answer(page: Any, address: str, passphrase: str) -> None:
    page.goto(f"{address}/en/answer/")
    page.get_by_label("Your passphrase").fill(passphrase)
    page.get_by_role("button", name="Show the answer").click()


def test_a_stranger_reports_and_comes_back_for_the_answer(running_office: Any, visitor: Any, chromium: Any) -> None:
    stranger = chromium.new_context(java_script_enabled=False).new_page()
    passphrase = report_anonymously(stranger, running_office.public_address)
    assert stranger.context.cookies() == []

    set_up(visitor, running_office, alone=True)
    page = visitor.page
    page.goto(f"{running_office.address}/reports/")
    visitor.keep("reports")
    page.get_by_role("link", name="R-").first.click()
    visitor.look("report")
    assert "I came across this by chance." in page.content()
    assert ADDRESS not in page.content()  # shown defanged, never as a link
    send = page.get_by_role("button", name="Send", exact=True)
    page.locator("form").filter(has=send).get_by_role("textbox").fill(QUESTION)
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text(QUESTION).first.wait_for()

    read_answer(stranger, running_office.public_address, passphrase)
    stranger.get_by_text(QUESTION).first.wait_for()
    stranger.get_by_label("Your message to us").fill(ANSWER)
    time.sleep(3.2)
    stranger.get_by_role("button", name="Send the message").click()
    stranger.get_by_text("Your message is with us.").wait_for()
    page.reload()
    assert ANSWER in page.content()
    visitor.look("answered")
    read_answer(stranger, running_office.public_address, "these are seven words of somebody else")
    stranger.get_by_text("We find no report with these words").wait_for()
    stranger.context.close()
    stored = b"".join(p.read_bytes() for p in running_office.home.rglob("*") if p.is_file())
    for secret in (ADDRESS, "by chance", QUESTION, ANSWER, passphrase):
        assert secret.encode() not in stored


def test_an_upload_is_hashed_and_not_kept_and_every_screen_opens(running_office: Any, visitor: Any) -> None:
    set_up(visitor, running_office, alone=True)
    page, out = visitor.page, io.BytesIO()
    Image.fromarray(draw_scene(11, 320, 240)).save(out, "PNG")
    page.goto(f"{running_office.address}/evidence/assets/upload/")
    visitor.keep("upload")
    file = {"name": "a.png", "mimeType": "image/png", "buffer": out.getvalue()}
    page.locator("input[type=file]").set_input_files(file)
    page.locator("main form button").first.click()
    page.wait_for_url(lambda url: "/upload/" not in url)
    visitor.look("asset")
    assert "discarded" in page.content()
    pages = ("evidence/assets", "evidence/exhibits", "banks", "reports", "reports/new", "people", "health")
    for path in (*pages, "account/keys"):
        page.goto(f"{running_office.address}/{path}/")
        assert page.get_by_role("heading", name="Not found").count() == 0, path
        visitor.keep(path.replace("/", "-"))
        assert page.locator("main img").count() == 0  # no page of this floor shows a picture
    kept = [p for p in Path(running_office.home).rglob("*") if p.is_file() and out.getvalue()[:64] in p.read_bytes()]
    assert kept == []
