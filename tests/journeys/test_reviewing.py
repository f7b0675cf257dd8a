"""Review in a real browser: from the keyboard alone, with as little seen as can be, and every look on record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tests.journeys.conftest import RunningOffice, ask_inside, faults_of_tabs, serve_office
from tests.journeys.inside_review import picture
from tests.machine import Machine

SINGLES, COPIES = 30, 12


def ask(office: RunningOffice, function: str, **arguments: Any) -> Any:
    return ask_inside(office.environment, function, "inside_review", **arguments)


@pytest.fixture(scope="module")
def reviewing(prepared: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOffice]:
    """An office with pictures in its queue: 30 different ones, and one of which there are twelve."""
    home = shutil.copytree(prepared.home, tmp_path_factory.mktemp("review") / "home")
    with serve_office(home) as running:
        roles = {name: ["analyst"] for name in ("ana", "ben", "eve")}
        roles |= {"sue": ["senior"], "kim": ["senior"], "out": []}
        running.people = running.ask("make_people", roles=roles)
        sue = running.people["sue"]["id"]
        running.filled["reviews"] = ask(running, "arrive", person=sue, singles=SINGLES, copies=COPIES)
        yield running


def start_shift(visitor: Any, office: RunningOffice, name: str, *, by_key: bool = False) -> Any:
    visitor.sign_in(office, name)
    page = visitor.page
    page.goto(f"{office.address}/review/shift/")
    start = page.get_by_role("button", name="Start", exact=True)
    if by_key:
        start.focus()
        page.keyboard.press("Enter")
    else:
        start.click()
    page.wait_for_url(f"{office.address}/review/")
    return page


SOMETHING_IS_DRAWN = """() => {
  const c = document.getElementById("picture");
  return c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v !== 0);
}"""


# Chromium without a window takes the focus from a tab when another comes to the front, and never says that the first
# is hidden (headless 156: `visibilitychange` is not fired, also not in one window, nor when it is minimised). What a
# browser with a window tells the page then is told to it here.
TAB_IS_HIDDEN = """() => {
  Object.defineProperty(document, "hidden", { value: true, configurable: true });
  Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def is_blank(page: Any) -> bool:
    """Nothing is on the canvas."""
    return not page.evaluate(SOMETHING_IS_DRAWN)


def wait_for_picture(page: Any) -> None:
    page.wait_for_function(SOMETHING_IS_DRAWN)


def wait_for_name(page: Any, name: str, timeout_ms: float = 60_000) -> None:
    """What a screen reader says of the canvas begins so."""
    begins = "name => document.getElementById('picture').getAttribute('aria-label').startsWith(name)"
    page.wait_for_function(begins, arg=name, timeout=timeout_ms)


@contextmanager
def another_tab(page: Any) -> Iterator[None]:
    """A real one, before this one. The driver tells every page that it has the focus, unless it is asked not to."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    other = page.context.new_page()
    other.bring_to_front()
    yield
    other.close()
    page.bring_to_front()
    session.send("Emulation.setFocusEmulationEnabled", {"enabled": True})


def answer_of_look(page: Any, end_url: str) -> int:
    """What the same browser is answered that asks for the pixels of a grant once more."""
    for _ in range(20):  # the end is on its way
        status = int(page.request.get(end_url.removesuffix("end/")).status)
        if status != 200:
            break
        page.wait_for_timeout(100)
    return status


def is_unknown_picture(answer: Any) -> bool:
    """A picture of any type, by its content type or asked for as one, but for the files that come with the program."""
    is_picture = answer.headers.get("content-type", "").startswith("image/") or answer.request.resource_type == "image"
    return is_picture and not urlsplit(answer.url).path.startswith("/static/leadline/")


NO_PICTURE_INSIDE = """() => !document.documentElement.outerHTML.match(/data:image|blob:/)
  && [...document.images].every(one => new URL(one.src, location).pathname.startsWith("/static/leadline/"))"""


def test_the_browser_gets_no_more_than_was_asked_for(reviewing: RunningOffice, make_visitor: Any) -> None:
    """The withholding test: every picture that came is decoded and compared."""
    page = start_shift(visitor := make_visitor("ben"), reviewing, "ben")
    reviewing.filled["ben's session"] = page.context.storage_state()
    got: list[tuple[str, bytes, str]] = []

    def keep(route: Any) -> None:
        if route.request.method != "GET":
            return route.continue_()
        answer = route.fetch()
        if answer.headers.get("content-type", "").startswith("image/"):
            got.append((answer.url, answer.body(), answer.headers.get("x-part", "")))
        route.fulfill(response=answer)

    page.route("**/tile/**", keep)
    page.route("**/look/**", keep)
    urls: list[str] = []  # of every picture, whatever its address
    page.on("response", lambda answer: urls.append(answer.url) if is_unknown_picture(answer) else None)
    page.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_url("**/review/*-*/")
    visitor.look("card-hidden")
    page.locator("#picture").hover()
    page.mouse.move(5, 5)
    assert got == []  # question first: nothing comes by itself, nor for a mouse that lies over it
    page.keyboard.press("t")
    wait_for_picture(page)
    visitor.look("tile")
    assert len(got) == 1
    seed = seed_of(page)
    drawn = Image.open(BytesIO(picture(seed))).convert("L")
    tile = Image.open(BytesIO(got[0][1]))
    assert (tile.mode, tile.size) == ("L", (160, 120))
    away = {sigma: difference(tile, drawn, sigma) for sigma in (7, 8, 9)}
    assert away[8] < 0.5
    assert min(away, key=lambda sigma: away[sigma]) == 8  # and no other blur is as near
    page.keyboard.down("Space")
    wait_for_name(page, "Lens")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(200)
    page.keyboard.up("Space")
    wait_for_name(page, "Hidden")
    assert is_blank(page)
    lenses = got[1:]
    assert len(lenses) >= 2
    original = np.asarray(drawn, int)
    for _, data, part in lenses:
        left, top, wide, high = (float(number) for number in part.split())
        assert wide * high <= 0.25
        lens = np.asarray(Image.open(BytesIO(data)), int)
        assert lens.ndim == 2
        box = original[round(top * 300) : round((top + high) * 300), round(left * 400) : round((left + wide) * 400)]
        assert lens.shape == box.shape
        assert np.abs(lens - box).max() <= 2  # those pixels, and no others: nothing was scaled
    page.unroute_all(behavior="wait")
    assert sorted(urls) == sorted(url for url, _, _ in got)
    assert page.evaluate(NO_PICTURE_INSIDE)
    rows = [row for row in ask(reviewing, "ledger") if row["by"] == "ben"]
    assert [row["level"] for row in rows] == ["tile", "lens"]
    came = {tuple(float(number) for number in part.split()) for _, _, part in lenses}
    assert came <= {tuple(area) for area in rows[1]["areas"]}  # what was asked for and given up counts as seen, too
    assert len(rows[1]["areas"]) <= 5
    assert 0 < rows[1]["seconds"] <= 8


def difference(tile: Any, drawn: Any, sigma: int) -> float:
    """How far a tile lies from one blurred here, in the mean; libraries differ in what lies beyond the edge."""
    own = drawn.resize((160, 120), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(sigma))
    inner = (slice(20, 100), slice(20, 140))
    return float(np.abs(np.asarray(tile, int) - np.asarray(own, int))[inner].mean())


def seed_of(page: Any) -> int:
    """Which of the drawn pictures is on the card."""
    import hashlib

    shown = page.locator("section[aria-labelledby=facts-title] code").first.inner_text()
    return next(seed for seed in range(1, SINGLES + 2) if hashlib.sha256(picture(seed)).hexdigest() == shown)


def test_an_answer_a_lost_focus_and_the_clock_hide_the_picture(
    reviewing: RunningOffice, make_visitor: Any, windowed_chromium: Any
) -> None:
    visitor = make_visitor("sue", windowed_chromium)
    page = start_shift(visitor, reviewing, "sue")
    page.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_url("**/review/*-*/")
    page.keyboard.down("Shift")
    page.keyboard.down("Space")
    wait_for_name(page, "The whole")
    assert not is_blank(page)
    page.keyboard.press("7")  # an answer
    assert is_blank(page)
    page.keyboard.up("Space")
    page.keyboard.up("Shift")
    told = page.locator("#shown")  # the live region: once for a look, and once for its end
    assert told.inner_text() == "Hidden"
    page.keyboard.down("Space")
    wait_for_name(page, "Lens")
    assert told.inner_text().startswith("Lens")
    leaving = ExitStack()
    with page.expect_request("**/end/") as ended:  # and the grant ends at once, not with the clock
        leaving.enter_context(another_tab(page))
    assert is_blank(page)
    assert told.inner_text() == "Hidden"
    assert answer_of_look(page, ended.value.url) == 409  # the server gives no more of it, to nobody
    leaving.close()
    page.keyboard.up("Space")
    page.keyboard.down("Space")
    wait_for_name(page, "Lens")
    with page.expect_request("**/end/") as ended:
        page.evaluate(TAB_IS_HIDDEN)
    assert is_blank(page)
    assert answer_of_look(page, ended.value.url) == 409
    assert [row["seconds"] < 7 for row in ask(reviewing, "ledger")[-2:]] == [True, True]
    page.evaluate("() => { delete document.hidden; delete document.visibilityState; }")
    page.keyboard.up("Space")
    page.keyboard.down("Space")
    wait_for_name(page, "Lens")
    wait_for_name(page, "Hidden", timeout_ms=12_000)
    assert is_blank(page)
    page.keyboard.up("Space")
    longest = max(row["seconds"] for row in ask(reviewing, "ledger"))
    assert 7.5 < longest <= 8
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Give back").click()


def test_single_letters_and_digits_can_be_switched_off(reviewing: RunningOffice, make_visitor: Any) -> None:
    page = make_visitor("ben", storage_state=reviewing.filled["ben's session"]).page  # a code is good once
    page.goto(f"{reviewing.address}/review/me/")
    page.get_by_label("Single letters and digits are keys").uncheck()
    page.get_by_role("button", name="Save").click()
    page.goto(f"{reviewing.address}/review/")
    page.get_by_role("button", name="Go on with yours").click()
    page.wait_for_url("**/review/*-*/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for key in "t1?":
        page.keyboard.press(key)
    with page.expect_request("**/reveal/"):  # Space is none of them
        page.keyboard.press("Space")
    assert not [url for url in asked if "/tile/" in url]
    assert page.locator("dialog[open]").count() == 0
    assert page.locator("input[type=radio]:checked").count() == 0
    page.context.clear_cookies(name="leadline")  # as when a session has ended meanwhile
    page.locator("textarea").first.fill("made up")
    page.locator("#saved").get_by_text("You were signed out.").wait_for()


def check_on_a_small_screen(page: Any, look: Callable[[], None] = lambda: None) -> None:
    """Nothing of the page lies beside the screen."""
    page.set_viewport_size({"width": 390, "height": 844})
    look()
    assert page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth") <= 0
    page.set_viewport_size({"width": 1280, "height": 720})


def current_question(page: Any) -> int:
    """Which question is marked."""
    fields = "[...document.querySelectorAll('#answers .field')].filter(one => one.querySelector('[type=radio]'))"
    return int(page.evaluate(f"{fields}.findIndex(one => one.classList.contains('current'))"))


def press_what_opens(page: Any) -> None:
    """Keys that open something, move between questions, or begin a note."""
    for key, place in {"c": "cluster", "h": "hold", "r": "route", "l": "law"}.items():
        opened = page.locator(f"#{place}")
        if not opened.count():  # the law of an office that declared no country
            continue
        was = opened.evaluate("one => one.open")
        page.locator("#picture").focus()
        page.keyboard.press(key)
        assert opened.evaluate("one => one.open") != was, key
    page.locator("#picture").focus()
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.locator("#picture").focus()
    places = []
    for key in "jjk":
        page.keyboard.press(key)
        places.append(current_question(page))
    assert places == [1, 2, 1]
    page.keyboard.press("k")  # the answers that follow lie where they should


def test_an_analyst_clears_the_queue_from_the_keyboard(reviewing: RunningOffice, make_visitor: Any) -> None:
    """Thirty reviews of forty-one files, no mouse: the cluster of twelve is decided once."""
    visitor = make_visitor("ana")
    clock_ahead = "const told = Date.now; Date.now = () => told() + 3600e3"  # this machine's is wrong
    visitor.page.add_init_script(clock_ahead)
    page = start_shift(visitor, reviewing, "ana", by_key=True)
    page.keyboard.press("Enter")
    waiting = 31 - 1  # ben holds one
    for number in range(waiting):
        page.wait_for_url("**/review/*-*/")
        if number == 0:
            assert faults_of_tabs(page) == []
            check_on_a_small_screen(page, lambda: visitor.look("card-on-a-small-screen"))
            page.locator("#picture").focus()
            page.keyboard.press("?")
            assert page.locator("#keys[open]").count() == 1
            visitor.look("keys")
            page.keyboard.press("Escape")
            press_what_opens(page)
        for key in "72222":
            page.keyboard.press(key)
        with page.expect_navigation():
            page.keyboard.press("Control+Shift+Enter")
        if number == 1:
            visitor.look("undo-offered")
            with page.expect_navigation():
                page.keyboard.press("z")
            assert page.locator("input[type=radio]:checked").count() == 5  # the answers came back
            with page.expect_navigation():
                page.keyboard.press("Control+Shift+Enter")
    page.wait_for_url(f"{reviewing.address}/review/")
    page.get_by_text("Nothing waits for you.").first.wait_for()
    made = [row for row in ask(reviewing, "decisions") if row["by"] == "ana" and row["standing"] != "undone"]
    assert sorted(row["files"] for row in made) == [1] * (waiting - 1) + [COPIES]
    assert not [row for row in ask(reviewing, "ledger") if row["by"] == "ana"]  # decided by the facts alone


def first_in_force(reviewing: RunningOffice, name: str) -> dict[str, Any]:
    """Of that person's decisions, once its ten seconds for the undo are over."""
    for _ in range(60):
        for row in ask(reviewing, "decisions"):
            if (row["by"], row["standing"]) == (name, "in-force"):
                return dict(row)
        time.sleep(0.5)
    raise AssertionError(f"no decision of {name} comes into force")


def test_somebody_else_revises_a_wrong_decision(reviewing: RunningOffice, make_visitor: Any) -> None:
    """The entry that it had led to is asked to be withdrawn, and is gone when a second person says yes."""
    visitor = make_visitor("kim")
    page = visitor.page
    visitor.sign_in(reviewing, "kim")
    first = first_in_force(reviewing, "ana")
    proposer, confirmer = (reviewing.people[name]["id"] for name in ("kim", "sue"))
    assert ask(reviewing, "bank_entry", assessment=first["id"], proposer=proposer, confirmer=confirmer) == 1
    page.goto(f"{reviewing.address}/review/assessments/{first['id']}/")
    page.get_by_role("group", name="Real, drawn or generated").get_by_label("Generated").check()
    page.get_by_label("Reason").select_option("mistake")
    visitor.look("revise")
    page.get_by_role("button", name="Revise").click()
    page.get_by_text("revises this one").wait_for()
    visitor.look("revised")
    assert faults_of_tabs(page) == []
    assert ask(reviewing, "decisions")[-1]["answers"]["depiction"] == ["generated"]
    for _ in range(120):  # ten seconds are for the undo: before they are over nothing outside changes
        page.goto(f"{reviewing.address}/review/assessments/{first['id']}/")
        if page.get_by_text("withdrawal").count():
            break
        time.sleep(0.5)
    visitor.look("withdrawal-proposed")
    senior = make_visitor("sue")
    senior.sign_in(reviewing, "sue")
    senior.page.goto(f"{reviewing.address}/banks/")
    senior.page.get_by_role("button", name="Confirm").first.click()
    senior.look("withdrawn")
    assert ask(reviewing, "entries") == 0


LISTED_KEYS = "[...document.querySelectorAll('#keys dt')].map(one => one.textContent.replace('–', ' '))"
# Of all single characters those that the page takes, by `preventDefault`: digits it takes without.
TAKEN_KEYS = """() => {
  for (const name of ["click", "submit"]) document.addEventListener(name, (event) => event.preventDefault(), true);
  const taken = [];
  const focused = document.getElementById("picture");
  for (let code = 33; code < 127; code += 1) {
    const key = String.fromCharCode(code);
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    focused.focus();
    if (!focused.dispatchEvent(event)) taken.push(key);
    const box = document.querySelector("dialog[open]");
    if (box) box.close();
  }
  return taken.sort();
}"""


def listed_keys(page: Any) -> set[str]:
    """All that the page of keys lists, as the driver names them."""
    return {key for text in page.evaluate(LISTED_KEYS) for key in text.split()}


def press_what_shows(page: Any) -> set[str]:
    """Keys that show something; each look in the ledger is read at the end."""
    page.locator("#picture").focus()
    page.keyboard.press("t")
    wait_for_name(page, "Small")
    page.keyboard.press(".")
    wait_for_name(page, "Small, grey, blurred (frame 2")
    page.keyboard.press(",")
    wait_for_name(page, "Small, grey, blurred (frame 1")
    page.keyboard.press("Escape")
    assert is_blank(page)
    page.keyboard.press("f")
    assert page.locator("#colour").get_attribute("aria-pressed") == "true"
    assert page.locator("#shown").inner_text() == "Colour: yes"
    parts: list[str] = []
    page.on("response", lambda one: parts.append(one.headers["x-part"]) if "x-part" in one.headers else None)
    page.keyboard.down("Space")
    wait_for_name(page, "Lens")
    is_coloured = """() => { const c = document.getElementById("picture");
      const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      return d.some((v, i) => i % 4 === 0 && (v !== d[i + 1] || v !== d[i + 2])); }"""
    page.wait_for_function(is_coloured)
    page.wait_for_timeout(150)
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        page.wait_for_timeout(200)
    with page.expect_request("**/end/"):
        page.keyboard.press("Escape")
    assert is_blank(page)
    page.keyboard.up("Space")
    moved = [tuple(map(float, part.split()[:2])) for part in parts]
    steps = [(round(b[0] - a[0], 2), round(b[1] - a[1], 2)) for a, b in pairwise(moved)]
    assert steps == [(0.05, 0), (0, 0.05), (-0.05, 0), (0, -0.05)]
    page.keyboard.press("f")  # grey again
    page.keyboard.down("Shift")
    page.keyboard.down("Space")
    wait_for_name(page, "The whole")
    page.keyboard.up("Space")
    page.keyboard.up("Shift")
    assert is_blank(page)
    return {"t", ".", ",", "Esc", "f", "Space", "←", "→", "↑", "↓", "Shift+Space"}


def hold_with_a_finger(page: Any) -> None:
    """Without keys or a mouse: the finger that holds the button moves the lens, and hides it when it leaves."""
    session = page.context.new_cdp_session(page)

    def touch(what: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": what, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    page.set_viewport_size({"width": 390, "height": 844})
    button = page.locator("#hold-lens")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    with page.expect_response("**/look/*/?*") as first:
        touch("touchStart", (x, y))
    wait_for_name(page, "Lens")
    page.wait_for_timeout(200)
    with page.expect_response("**/look/*/?*") as moved:
        touch("touchMove", (x + 60, y))
    parts = [tuple(map(float, one.value.headers["x-part"].split()[:2])) for one in (first, moved)]
    assert parts[1][0] > parts[0][0]
    assert parts[1][1] == parts[0][1]
    with page.expect_request("**/end/"):
        touch("touchEnd")
    assert is_blank(page)
    page.set_viewport_size({"width": 1280, "height": 720})


def press_what_decides(page: Any) -> tuple[set[str], list[str]]:
    """Keys that change something on the server; of which reviews the last two end the card: escalated, skipped."""
    page.reload()
    page.locator("#picture").focus()
    with page.expect_navigation():
        page.keyboard.press("o")
    assert current_question(page) == 0  # the card stays
    page.keyboard.press("1")
    assert page.locator("#answers .field").first.locator("input").first.is_checked()
    page.keyboard.press("k")
    page.keyboard.press("9")  # the first question has fewer answers: nothing is answered by it
    boxes = page.locator("#answers .field").first.locator("input")
    assert boxes.count() < 9
    assert boxes.first.is_checked()
    for key in "72222":
        page.keyboard.press(key)
    for key, place in {"Control+Enter": "**/assessments/*-*/", "Control+Shift+Enter": "**/review/*-*/"}.items():
        card = page.url
        with page.expect_navigation():
            page.keyboard.press(key)
        page.wait_for_url(place)
        assert page.url != card
        check_on_a_small_screen(page)
        with page.expect_navigation():
            page.keyboard.press("z")
        assert page.url == card
    cards = [page.url]
    for key in "es":
        with page.expect_navigation():
            page.keyboard.press(key)
        cards.append(page.url)
    assert cards[0] != cards[1] != cards[2]
    return {"1", "9", "o", "e", "s", "z", "Ctrl+Enter", "Ctrl+Shift+Enter"}, [url.split("/")[-2] for url in cards[:2]]


def test_frames_are_stepped_by_key_and_none_plays_by_itself(reviewing: RunningOffice, make_visitor: Any) -> None:
    person = reviewing.people["eve"]["id"]
    review, _ = ask(reviewing, "move", films=[[101, 102, 103], [111, 112]], person=person)
    visitor = make_visitor("eve")
    page = start_shift(visitor, reviewing, "eve")
    for address in ("assessments/", "me/", ""):
        page.goto(f"{reviewing.address}/review/{address}")
        check_on_a_small_screen(page, lambda: visitor.look("on-a-small-screen"))
    page.locator(f"form[action='/review/{review}/claim/'] button").click()
    page.wait_for_url(f"**/review/{review}/")
    got: list[str] = []
    page.on("response", lambda answer: got.append(answer.url.split("/tile/")[-1]) if "/tile/" in answer.url else None)
    current = page.locator("#scenes [aria-current]")
    page.keyboard.press(".")
    assert (current.inner_text(), got) == ("2", [])  # hidden it stays
    page.keyboard.press("t")
    wait_for_name(page, "Small, grey, blurred (frame 2 of 3)")
    page.keyboard.press(".")
    wait_for_name(page, "Small, grey, blurred (frame 3 of 3)")
    visitor.look("third-frame")
    assert page.locator("#shown").inner_text() == "Small, grey, blurred (frame 3 of 3)"
    page.keyboard.press(".")  # there is no fourth
    page.keyboard.down("Space")
    wait_for_name(page, "Lens: a quarter of the picture (frame 3 of 3)")
    with page.expect_request("**/end/"):
        page.keyboard.press(",")  # another frame ends the look
    assert is_blank(page)
    assert current.inner_text() == "2"
    page.keyboard.up("Space")
    page.get_by_role("button", name="Back ,").click()
    assert current.inner_text() == "1"
    page.wait_for_timeout(1500)
    assert is_blank(page)
    assert [one.rpartition("?")[2] for one in got] == ["scene=2", "scene=3"]
    rows = [(row["level"], row["view"]) for row in ask(reviewing, "ledger") if row["by"] == "eve"]
    assert rows == [("tile", "frame 1"), ("tile", "frame 2"), ("lens", "frame 2")]
    assert faults_of_tabs(page) == []
    hold_with_a_finger(page)
    pressed = press_what_shows(page)
    press_what_opens(page)
    pressed |= set("clhrnjk")
    listed = listed_keys(page)
    letters = {one for one in listed if len(one) == 1 and one.isascii() and not one.isdigit()}
    assert set(page.evaluate(TAKEN_KEYS)) == letters - {"z"} | {"?"}  # there is nothing to undo yet
    more, (escalated, skipped) = press_what_decides(page)
    assert pressed | more == listed  # and each did what it says
    done = ask(reviewing, "acts", person=person)
    decided = ["review.second-asked", *["assessment.made", "assessment.undone"] * 2, "review.escalated"]
    assert [act for act in done["lines"] if act != "review.claimed"] == decided
    assert (done["escalated"], done["skipped"]) == ([escalated], [skipped])
    assert escalated == review
    assert done["colour"] == ["lens"]
    page.goto(f"{reviewing.address}/review/")
    page.get_by_role("button", name="Break").press("Enter")  # of a control it is that control's, and not Next
    page.get_by_text("Nothing is shown until then.").wait_for()
    visitor.look("break")
    assert faults_of_tabs(page) == []


def test_an_outsider_finds_nothing_there(reviewing: RunningOffice, make_visitor: Any) -> None:
    page = (visitor := make_visitor("out")).page
    visitor.sign_in(reviewing, "out")
    there = f"/review/{reviewing.filled['reviews'][0]}/"
    told = set()
    for address in ("/review/", there, f"/review/{uuid4()}/", "/review/team/"):
        assert page.goto(f"{reviewing.address}{address}").status == 404
        told.add(page.locator("main").inner_text())
    assert len(told) == 1  # the same words for what is there and for what is not
