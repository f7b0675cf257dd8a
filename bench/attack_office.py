"""Attack on a whole office: `leadline up` under load, its processes killed at random, its disk full, its database gone,
its clock set back; counts what was acknowledged and then lost.

`python -m bench.attack_office [KILLS]` prints a Markdown table, a row for each database; for every six kills there is
one of each other fault, mixed among them. Exit 1 where anything that was
acknowledged is lost, is there twice or by half, or where the journal, the vault or an exhibit is found wrong; 3 where
PostgreSQL is missing and only SQLite was attacked (say `sqlite` after KILLS where that is wanted).
Programs hand in reports and files and change a bank by the API, a visitor reports by the public form, two people ask
for exhibits and release them, terms of files end. Each goes on trying until it is answered, as programs do, and notes
what it was answered. Meanwhile one process after another is killed with SIGKILL: of the servers the one that
supervises or one that answers, the worker, a sandbox. The office's own supervisor starts them again.
A full disk: for some seconds no process of the office may make a file longer, or than so much. A database that is gone:
the folder of the office is renamed, or PostgreSQL is stopped in the middle and started again. A clock set back: all
processes of the office read one that is seconds to a day behind, and then the right one again.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import re
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from tests.servers import Postgresql

ROOT = Path(__file__).parents[1]
MARKER = b"a phrase that must never be found on a disk "
COLUMNS = (
    "office on", "kills", "of what", "disk full", "database gone", "clock back", "refused or unanswered", "reports", "public reports", "files", "erased", "bank changes", "exhibits",
    "lost", "twice", "half", "journal", "vault", "in clear", "seconds",
)  # fmt: skip
UP_TIMEOUT_S, SETTLE_TIMEOUT_S = 120.0, 300.0
KILLS_A_FAULT = 6
FAULTS = ("disk full", "database gone", "clock back")
CLOCK_BACK_S = (2, 60, 20 * 60, 25 * 3600)
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
NOT_ATTACKED = 3  # an exit code: half of what was asked for was not done, and nobody shall read that it held


# --- the office ------------------------------------------------------------------------------------------------------


@dataclass
class Office:
    """`leadline up` on loopback ports of its own."""

    home: Path
    port: int
    public_port: int
    process: subprocess.Popen[bytes]

    def processes(self) -> dict[str, list[int]]:
        """What may be killed, by kind. A kind comes up as often as any other, however many processes it has."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (parent := _parent(entry)):
                children.setdefault(parent, []).append(int(entry.name))
        found: dict[str, list[int]] = {}
        for first in children.get(self.process.pid, []):
            command = _command(first)
            name = "worker" if b"workbench.worker" in command else "public form" if b"\0public\0" in command else "web"
            found.setdefault(name, []).append(first)
            for second in children.get(first, []):
                kind = "sandbox" if name == "worker" else f"{name}'s child"
                found.setdefault(kind, []).append(second)
                found.setdefault("sandbox", []).extend(children.get(second, []))
        return {kind: pids for kind, pids in found.items() if pids}


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


@contextmanager
def serve(home: Path, port: int, public_port: int, clock: Clock) -> Iterator[Office]:
    log = home.parent / "log"
    with log.open("ab") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "leadline", "up"], cwd=ROOT, stdout=told, stderr=told, start_new_session=True,
            env=os.environ | clock.environment,
        )  # fmt: skip
        office = Office(home, port, public_port, process)
        try:
            yield office
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    if code:
        raise RuntimeError(f"leadline up ended with {code}: {log.read_text()[-2000:]}")


def wait_for(port: int) -> None:
    end = time.monotonic() + UP_TIMEOUT_S
    while time.monotonic() < end:
        try:
            ask(port, "GET", "/healthz", timeout_s=5)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not come back")


NO_ANSWER = 0
Answer = tuple[int, dict[str, str], bytes]


def ask(
    port: int, method: str, path: str, body: bytes | str = b"", headers: dict[str, str] | None = None,
    timeout_s: float = 30,
) -> Answer:  # fmt: skip
    """OSError where no whole answer came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


# --- who works there -------------------------------------------------------------------------------------------------


@dataclass
class Said:
    """What the office acknowledged."""

    reports: dict[str, str] = field(default_factory=dict)  # our reference -> number
    public: set[str] = field(default_factory=set)  # numbers
    files: dict[str, bytes] = field(default_factory=dict)  # sha256 -> what was sent
    again: set[str] = field(default_factory=set)  # sha256 of files sent more than once: a late arrival gives a new term
    ended: set[str] = field(default_factory=set)  # sha256 of files whose term is over
    entries: dict[str, int] = field(default_factory=dict)  # md5 -> number in the bank
    withdrawn: set[str] = field(default_factory=set)  # md5
    tried_to_withdraw: set[str] = field(default_factory=set)
    exhibits: dict[str, str] = field(default_factory=dict)  # id -> state
    refused: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Load:
    """Threads that go on until told to stop; what they were at then is neither acknowledged nor refused."""

    def __init__(self, office: Office, people: dict[str, str], said: Said) -> None:
        self.office, self.people, self.said = office, people, said
        self.stopping = threading.Event()
        self.tries = threading.local()  # how often the last request was sent
        self.faults: list[str] = []
        works: list[Callable[[random.Random], None]] = [
            self.report, self.report, self.send_file, self.change_bank, self.report_publicly, self.end_terms, self.exhibit,
        ]  # fmt: skip
        self.threads = [threading.Thread(target=self._go, args=(work, n)) for n, work in enumerate(works)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _go(self, work: Callable[[random.Random], None], number: int) -> None:
        dice = random.Random(number)
        while not self.stopping.is_set():
            try:
                work(dice)
            except Exception as error:
                self.faults.append(f"{work.__name__}: {type(error).__name__}: {error}")
                self.stopping.wait(1)
            self.stopping.wait(dice.uniform(0, 0.1))

    def until_answered(self, *asked: Any, **named: Any) -> Answer | None:
        """The same request again and again until there is an answer that is no fault of ours; None when it is time to stop."""
        self.tries.count = 0
        while not self.stopping.is_set():
            self.tries.count += 1
            try:
                answer = ask(*asked, **named)
            except OSError:
                answer = (NO_ANSWER, {}, b"")
            if answer[0] not in (NO_ANSWER, 429, 500, 502, 503):
                return answer
            told = re.search(rb'"code": ?"([a-z-]+)"', answer[2])
            name = f"{answer[0]} {told[1].decode() if told else ''} of {asked[2]}" if answer[0] else "no answer"
            self.said.refused[name] += 1
            self.stopping.wait(0.2)
        return None

    def api(self, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any] | None:
        sent = {"Authorization": f"Bearer {self.people['key']}", "Content-Type": "application/json", **headers}
        data = body if isinstance(body, bytes) else json.dumps(body)
        answer = self.until_answered(self.office.port, method, f"/api/v1/{path}", data, sent)
        return None if answer is None else (answer[0], json.loads(answer[2] or b"null"))

    def report(self, dice: random.Random) -> None:
        reference = secrets.token_hex(8)
        body = {
            "items": [{"kind": "url", "value": f"https://example.org/{dice.choice((reference, 'again'))}"}],
            "text": (MARKER + reference.encode()).decode(),
            "source_reference": reference,
        }
        answer = self.api("POST", "reports", body, **{"Idempotency-Key": reference})
        if answer and answer[0] in (200, 201):
            self.said.reports[reference] = answer[1]["number"]
        elif answer:
            self.said.refused[f"report {answer[0]}"] += 1

    def send_file(self, dice: random.Random) -> None:
        with self.said.lock:
            old = [data for sha, data in self.said.files.items() if sha not in self.said.ended]
            content = MARKER + secrets.token_bytes(dice.choice((10, 200_000)))
            if old and dice.random() < 0.1:
                content = dice.choice(old)
                self.said.again.add(hashlib.sha256(content).hexdigest())
        edge = secrets.token_hex(16)
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{edge}.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'
        body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
        answer = self.api("POST", "assets", body, **{"Content-Type": f"multipart/form-data; boundary={edge}"})
        if answer and answer[0] == 201 and answer[1]["state"] == "kept":
            with self.said.lock:
                self.said.files[answer[1]["sha256"]] = content
                if self.tries.count > 1:  # one that found no answer may still be on its way in
                    self.said.again.add(answer[1]["sha256"])
        elif answer:
            self.said.refused[f"file {answer[0]}"] += 1

    def change_bank(self, dice: random.Random) -> None:
        if self.said.entries and dice.random() < 0.25:
            md5, number = dice.choice(list(self.said.entries.items()))
            self.said.tried_to_withdraw.add(md5)
            answer = self.api("POST", "banks/attacked/withdrawals", {"ids": [number], "reason": "duplicate"})
            if answer and answer[0] == 200 and answer[1]["withdrawn"] == 1:
                self.said.withdrawn.add(md5)
            elif answer:  # gone already by a try that was cut; or so many in a day that a second person is asked
                self.said.refused[f"withdrawal {answer[0]}"] += 1
            return
        md5 = secrets.token_hex(16)
        body = {"hashes": [f"md5:{md5}"], "reason": "own-assessment"}
        answer = self.api("POST", "banks/attacked/entries", body, **{"Idempotency-Key": md5})
        if answer and answer[0] == 201 and answer[1]["added"] == 1:
            self.said.entries[md5] = answer[1]["ids"][0]
        elif answer:  # 409: it was cut, and nobody knows how far it came
            self.said.refused[f"bank {answer[0]}"] += 1

    def report_publicly(self, dice: random.Random) -> None:
        page = self.until_answered(self.office.public_port, "GET", "/en/report/")
        token = re.search(rb'name="token" value="([^"]+)"', page[2]) if page else None
        if token is None or self.stopping.wait(3.5):  # what is sent faster than a person can is not taken
            return
        form = urlencode({"token": token[1].decode(), "text": MARKER.decode() + secrets.token_hex(8)})
        try:  # once: a person who sees no receipt begins anew
            answer = ask(
                self.office.public_port, "POST", "/en/report/", form, {"Content-Type": "application/x-www-form-urlencoded"}
            )
        except OSError:
            return
        if number := re.search(rb"R-[0-9]{4}-[0-9]+", answer[2]) if answer[0] == 200 else None:
            self.said.public.add(number[0].decode())
        else:
            self.said.refused[f"public {answer[0]}"] += 1

    def end_terms(self, dice: random.Random) -> None:
        """The time passes: the term of some file is over, and the duty that erases it is due."""
        from django.db import DatabaseError, connection
        from django.utils import timezone

        from leadline.workbench.evidence.models import Asset
        from leadline.workbench.journal.models import Duty

        self.stopping.wait(2)
        with self.said.lock:
            live = [sha for sha in self.said.files if sha not in self.said.ended | self.said.again]
            chosen = dice.sample(live, len(live) // 3)
            self.said.ended.update(chosen)
        now, is_told = timezone.now(), False
        while not is_told:  # the database may be away; whether a cut answer counted, it counts when told again
            try:
                Asset.objects.filter(sha256__in=chosen).update(retain_until=now)
                Duty.objects.filter(name__startswith="evidence.").update(due_at=now)
                is_told = True
            except DatabaseError:
                time.sleep(0.5)
            finally:
                connection.close()

    def exhibit(self, dice: random.Random) -> None:
        """One asks, another releases; the worker builds."""
        self.stopping.wait(1)
        with self.said.lock:
            named = dice.sample(sorted(self.said.files), min(3, len(self.said.files)))
        if not named:
            return
        form = {"assets": "\n".join(named), "recipient": "made-up court", "reason": "court-order"}
        answer = self.page("asker", "/evidence/exhibits/new/", form)
        found = re.fullmatch(r"/evidence/exhibits/([0-9a-f-]{36})/", answer[1].get("location", "")) if answer else None
        if found is None:
            return
        self.said.exhibits[found[1]] = "requested"
        answer = self.page("releaser", f"/evidence/exhibits/{found[1]}/release/", {"reason": "checked"})
        if answer and answer[1].get("location", "").startswith("/evidence/exhibits/"):  # not to the sign-in
            self.said.exhibits[found[1]] = "released"

    def page(self, who: str, path: str, form: dict[str, str]) -> Answer | None:
        """A form of a page, by somebody who is signed in. Once: a person looks before sending again."""
        token = "a" * 32
        headers = {
            "Cookie": f"leadline={self.people[who]}; leadline-csrf={token}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Host": f"localhost:{self.office.port}",
        }
        try:
            answer = ask(self.office.port, "POST", path, urlencode({**form, "csrfmiddlewaretoken": token}), headers)
        except OSError:
            return None
        if answer[0] not in (200, 302):
            self.said.refused[f"page {answer[0]}"] += 1
        return answer


# --- in the office's house -------------------------------------------------------------------------------------------


def make_office() -> dict[str, str]:
    """People who may, their sessions and a key; the office keeps files; an empty bank."""
    import django

    django.setup()
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    from leadline.domain import Kind
    from leadline.workbench import office
    from leadline.workbench.accounts import actions as accounts
    from leadline.workbench.accounts.models import Person, RoleGrant
    from leadline.workbench.actors import Actor
    from leadline.workbench.banks import actions as banks
    from leadline.workbench.evidence import actions as evidence
    from leadline.workbench.evidence.models import MediaMode
    from leadline.workbench.permissions import ROLE_PERMISSIONS, Role

    office.prepare_office(lambda text: None)
    people = {}
    for name, role in (("asker", Role.SENIOR), ("releaser", Role.SENIOR), ("administrator", Role.ADMINISTRATOR)):
        people[name] = Person.objects.create(email=f"{name}@example.org", name=name, password="!")
        RoleGrant.objects.create(person=people[name], role=role, is_active=True)
        TOTP.activate(people[name], generate_totp_secret())
    evidence.set_media_mode(people["administrator"], MediaMode.KEEP, "made-up law, section 1", retention_days=30)
    banks.create_bank(Actor.of_person(people["asker"]), "attacked", kind=Kind.OTHER, reason="own-list")
    key = accounts.make_key(people["asker"], "load", Role.SENIOR, ROLE_PERMISSIONS[Role.SENIOR], timedelta(days=1))[1]
    signed_in = {"key": key}
    sign_in(signed_in)
    return signed_in


def sign_in(people: dict[str, str], ahead_s: float = 0) -> None:
    """The load's people anew, as they do every now and then and where they were signed out, with both factors."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import connection

    from leadline.workbench.accounts.models import Person

    with closing(connection):
        for person in Person.objects.filter(name__in=("asker", "releaser")):
            store, at = SessionStore(), time.time() + ahead_s
            store[SESSION_KEY], store[HASH_SESSION_KEY] = str(person.pk), person.get_session_auth_hash()
            store[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
            store["account_authentication_methods"] = [
                {"method": "password", "at": at, "email": person.email},
                {"method": "mfa", "type": "totp", "id": 0, "at": at},
            ]
            store["account_authentication_methods_user"] = str(person.pk)
            store.create()
            people[person.name] = str(store.session_key)


def build_failed_exhibits() -> None:
    """What a full disk stopped, a person orders again."""
    from leadline.workbench.evidence import actions
    from leadline.workbench.evidence.models import Exhibit

    for exhibit in Exhibit.objects.filter(state="failed"):
        actions.build_again(exhibit.decided_by, exhibit)


def settle() -> None:
    """Let the worker do all that is due: queued tasks, duties, exhibits under way.

    RuntimeError where nothing of it moves any more: a slow machine takes its time, a stuck task never ends.
    """
    from django.db import connection
    from django.utils import timezone
    from django_tasks import TaskResultStatus
    from django_tasks_db.models import DBTaskResult

    from leadline.workbench.evidence.models import Asset, Exhibit
    from leadline.workbench.journal.models import Duty

    Duty.objects.exclude(name__startswith="worker:").update(due_at=timezone.now())
    end, left = time.monotonic() + SETTLE_TIMEOUT_S, (-1, -1, -1)
    while time.monotonic() < end:
        time.sleep(1)
        open_tasks = DBTaskResult.objects.filter(status__in=[TaskResultStatus.READY, TaskResultStatus.RUNNING]).count()
        building = Exhibit.objects.filter(state="released").count()
        if building and not open_tasks:
            Duty.objects.filter(name="evidence.rebuild-exhibits").update(due_at=timezone.now())
            Exhibit.objects.filter(state="released").update(decided_at=timezone.now() - timedelta(minutes=11))
        late = Asset.objects.filter(state="kept", on_hold=False, retain_until__lte=timezone.now()).count()
        if late:
            Duty.objects.filter(name="evidence.erase-expired").update(due_at=timezone.now())
        connection.close()
        if not open_tasks and not building and not late:
            return
        if (open_tasks, building, late) != left:
            end, left = time.monotonic() + SETTLE_TIMEOUT_S, (open_tasks, building, late)
    raise RuntimeError(f"it did not settle: {open_tasks} tasks, {building} exhibits, {late} files")


@dataclass
class Found:
    """What is wrong afterwards, each said in words for standard error."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    vault: list[str] = field(default_factory=list)
    clear: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        return [f"{name}: {one}" for name, some in vars(self).items() for one in some]


def compare(home: Path, said: Said) -> Found:
    found = Found()
    compare_reports(said, found)
    compare_files(said, found)
    compare_bank(home, said, found)
    compare_exhibits(home, said, found)
    check_chain(home, found)
    check_vault(found)
    found.clear += [str(p) for p in home.rglob("*") if p.is_file() and MARKER in p.read_bytes()]
    return found


def compare_reports(said: Said, found: Found) -> None:
    from leadline.workbench.journal.models import Line
    from leadline.workbench.reports.models import Item, Report

    rows = list(Report.objects.values_list("pk", "number", "source_reference", "item_count", "text_sealed"))
    numbers = {number for _, number, *_ in rows}
    by_reference = Counter(reference for _, _, reference, *_ in rows if reference)
    for reference, number in said.reports.items():
        found.lost += [] if number in numbers else [f"report {number}"]
        found.twice += [] if by_reference[reference] <= 1 else [f"report {reference}"]
    found.twice += [f"report {ref}" for ref, n in by_reference.items() if n > 1 and ref not in said.reports]
    found.lost += [f"public report {number}" for number in said.public - numbers]
    told = Counter(Line.objects.filter(act="report.received").values_list("object_id", flat=True))
    items = Counter(Item.objects.values_list("report_id", flat=True))
    for pk, number, _, item_count, sealed in rows:
        found.half += [] if told[str(pk)] == 1 else [f"report {number}: {told[str(pk)]} lines in the journal"]
        found.half += [] if items[pk] == item_count else [f"report {number}: {items[pk]} of {item_count} items"]
        found.half += [] if sealed else [f"report {number}: no text"]
    found.half += [f"line of a report that is not there: {pk}" for pk in told.keys() - {str(pk) for pk, *_ in rows}]


def compare_files(said: Said, found: Found) -> None:
    from leadline.errors import LeadlineError
    from leadline.workbench import sealing
    from leadline.workbench.evidence.models import Asset
    from leadline.workbench.journal.models import Line

    rows = {asset.sha256: asset for asset in Asset.objects.all()}
    for sha, content in said.files.items():
        asset = rows.get(sha)
        if asset is None:
            found.lost.append(f"file {sha}")
        elif sha in said.ended:
            found.half += [] if asset.state == "erased" and sealing.is_erased(sha) else [f"erased file {sha}: {asset.state}"]
        else:
            try:
                is_whole = b"".join(sealing.read_asset(sha)) == content
            except LeadlineError as error:
                is_whole = False
                found.lost.append(f"file {sha}: {error}")
            found.half += [] if is_whole and asset.state == "kept" else [f"file {sha}: {asset.state}"]
    told = set(Line.objects.filter(act__startswith="asset.").values_list("object_id", flat=True))
    found.half += [f"file {sha}: no line in the journal" for sha, asset in rows.items() if str(asset.pk) not in told]


def compare_bank(home: Path, said: Said, found: Found) -> None:
    from django.utils import timezone

    from leadline.match.bank import Bank
    from leadline.workbench.banks import actions
    from leadline.workbench.banks.models import Change

    Change.objects.filter(state="begun").update(begun_at=timezone.now() - timedelta(hours=1))
    actions.settle_changes()
    found.half += [f"change of the bank: {c.pk} {c.what}" for c in Change.objects.filter(state="begun")]
    bank = Bank.open(home / "banks" / "attacked", kinds={})
    found.half += [f"bank: {fault}" for fault in bank.verify() if "no whole change" not in fault]
    there = Counter(entry.fingerprints["md5"].hex() for entry in bank.entries())
    for md5 in said.entries:
        if md5 in said.withdrawn:
            found.half += [f"withdrawn entry {md5} is there"] if there[md5] else []
        elif md5 not in said.tried_to_withdraw:
            found.lost += [] if there[md5] else [f"entry {md5}"]
    found.twice += [f"entry {md5}" for md5, n in there.items() if n > 1]


def compare_exhibits(home: Path, said: Said, found: Found) -> None:
    import zipfile

    from leadline.custody import verify
    from leadline.workbench.evidence import access
    from leadline.workbench.evidence.models import Exhibit

    rows = {str(exhibit.pk): exhibit for exhibit in Exhibit.objects.all()}
    for pk, state in said.exhibits.items():
        exhibit = rows.get(pk)
        if exhibit is None:
            found.lost.append(f"exhibit {pk}")
        elif state == "released" and exhibit.state != "ready":
            found.half.append(f"exhibit {pk}: {exhibit.state} {exhibit.fault}")
        elif exhibit.state == "ready":
            with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(access.exhibit_path(exhibit.pk)) as packed:
                packed.extractall(folder)
                result = verify.check_path(Path(folder) / pk, {}, ())
            found.journal += [f"exhibit {pk}: {fault.what}" for fault in result.faults]
            digest = hashlib.sha512(b"").hexdigest()
            found.half += [f"exhibit {pk}: no manifest"] if exhibit.manifest_sha512 in ("", digest) else []


def check_chain(home: Path, found: Found) -> None:
    """As `leadline verify` does, over all lines of the database."""
    from leadline.custody import verify
    from leadline.custody.chain import encode_line
    from leadline.workbench.journal.actions import event_of
    from leadline.workbench.journal.models import Line

    path = home.parent / "custody.jsonl"
    with path.open("wb") as out:
        for line in Line.objects.order_by("line").iterator(chunk_size=2000):
            out.write(encode_line(event_of(line)))
    result = verify.check_path(path, {}, ())
    found.journal += [fault.what for fault in result.faults]


def check_vault(found: Found) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leadline", "vault", "verify"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found.vault += [] if done.returncode == 0 else [done.stdout + done.stderr]


# --- the faults ------------------------------------------------------------------------------------------------------

# Loaded into every process of the office: the clock of the day runs as far off as a file says, in seconds.
_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *ahead_s;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("ATTACK_CLOCK"), O_RDONLY);
    void *page = mmap(0, sizeof *ahead_s, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead_s = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (!code && clock == CLOCK_REALTIME && ahead_s) now->tv_sec += *ahead_s;
    return code;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict told, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


class Clock:
    """What all processes of the office take for the time of day. `folder`: outside the office's home."""

    def __init__(self, folder: Path) -> None:
        self._file, source, library = folder / "ahead", folder / "clock.c", folder / "clock.so"
        self.set(0)
        source.write_text(_CLOCK)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "ATTACK_CLOCK": str(self._file)}

    def set(self, ahead_s: int) -> None:
        with self._file.open("r+b" if self._file.exists() else "wb") as file:  # the same file: it is mapped
            file.write(ahead_s.to_bytes(8, sys.byteorder, signed=True))


class Faults:
    """What befalls an office. Each is over when its method returns; SIGKILL alone is never made good by us."""

    def __init__(self, office: Office, people: dict[str, str], clock: Clock, server: Postgresql | None) -> None:
        self.office, self.people, self.clock, self.server = office, people, clock, server
        self.dice = random.Random(1)
        self.killed: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def make(self, name: str) -> None:
        if name == "kill":
            self.killed[kill_one(self.office, self.dice)] += 1
            return
        {"disk full": self.fill_disk, "database gone": self.take_database, "clock back": self.set_clock_back}[name]()
        self.done[name] += 1

    def lasts_s(self) -> float:
        return self.dice.uniform(0.5, 3)

    def fill_disk(self) -> None:
        """The log that SQLite writes ahead is what grows; the vault, exhibits and the memory of sandboxes are new files."""
        log = self.office.home / "leadline.sqlite3-wal"
        grown = log.stat().st_size if log.exists() else 0
        limit, end = grown + self.dice.choice((0, 10_000, 100_000)), time.monotonic() + self.lasts_s()
        while time.monotonic() < end:
            self._limit_files(limit)
            time.sleep(0.1)
        while self._limit_files(resource.RLIM_INFINITY):
            pass

    def _limit_files(self, limit: int) -> int:
        """How many processes had another limit. Sandboxes have a harder one of their own, which stays."""
        changed = 0
        for pid in {pid for pids in self.office.processes().values() for pid in pids}:
            try:
                soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                if hard == resource.RLIM_INFINITY and soft != limit:
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, hard))
                    changed += 1
            except ProcessLookupError:
                continue
        return changed

    def take_database(self) -> None:
        if self.server is not None:
            self.server.stop()
            time.sleep(self.lasts_s())
            self.server.start()
            return
        # The folder goes as one: a log without its database would be another fault. A file in its place: nothing is made.
        home, away = self.office.home, self.office.home.with_name("away")
        home.rename(away)
        home.touch()
        time.sleep(self.lasts_s())
        home.unlink()
        away.rename(home)

    def set_clock_back(self) -> None:
        """Whoever was signed in is signed out both times: the sign-in lies in the future, or the last page too long ago."""
        back_s = self.dice.choice(CLOCK_BACK_S)
        self.clock.set(-back_s)
        sign_in(self.people, -back_s)
        time.sleep(self.lasts_s())
        self.clock.set(0)
        sign_in(self.people)


# --- the attack ------------------------------------------------------------------------------------------------------


def attack(database: str, kills: int) -> int:
    """`database`: sqlite or postgresql."""
    from tests.servers import free_port

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, server_of(database) as server:
        home, port, public_port = Path(folder) / "home", free_port(), free_port()
        set_environment(home, server.url if server else "", port, public_port)
        people, said, clock = make_office(), Said(), Clock(Path(folder))
        with serve(home, port, public_port, clock) as office:
            faults = Faults(office, people, clock, server)
            wait_for(port)
            wait_for(public_port)
            with Load(office, people, said) as load:
                time.sleep(3)
                befall(faults, kills, said)
                wait_for(port)
                wait_for(public_port)
                time.sleep(3)
            build_failed_exhibits()
            settle()
        found = compare(home, said)
        if found.all():
            print((home.parent / "log").read_text()[-3000:], file=sys.stderr)
    for fault in [*load.faults[:20], *found.all()[:100]]:
        print(fault, file=sys.stderr)
    print_row(database, faults, said, found, time.monotonic() - began)
    is_idle = not (said.reports and said.files and said.entries and said.exhibits and said.ended and said.public)
    return 1 if found.all() or is_idle else 0


def server_of(database: str) -> AbstractContextManager[Postgresql | None]:
    from tests.servers import Postgresql

    return nullcontext() if database == "sqlite" else Postgresql()


def befall(faults: Faults, kills: int, said: Said) -> None:
    """All of them under one load, in a mixed order."""
    todo = ["kill"] * kills + [name for name in FAULTS for _ in range(kills // KILLS_A_FAULT)]
    faults.dice.shuffle(todo)
    for number, name in enumerate(todo, 1):
        wait_for(faults.office.port)
        time.sleep(faults.dice.uniform(0, 1.5))
        faults.make(name)
        if number % 20 == 0:
            sign_in(faults.people)
            print(f"{number} faults, {dict(faults.killed)}, {dict(said.refused)}", file=sys.stderr)


def kill_one(office: Office, dice: random.Random) -> str:
    while True:
        running = office.processes()
        kind = dice.choice(sorted(running)) if running else ""
        try:
            os.kill(dice.choice(running[kind]), signal.SIGKILL)
        except (KeyError, ProcessLookupError):
            time.sleep(0.1)
        else:
            return kind


def print_row(database: str, faults: Faults, said: Said, found: Found, seconds: float) -> None:
    of_what = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.killed.items()))
    befell = (faults.killed.total(), of_what, *(faults.done[name] for name in FAULTS), said.refused.total())
    released = sum(state == "released" for state in said.exhibits.values())
    acknowledged = (
        len(said.reports), len(said.public), len(said.files), len(said.ended & said.files.keys()),
        len(said.entries) + len(said.withdrawn), released,
    )  # fmt: skip
    wrong = (found.lost, found.twice, found.half, found.journal, found.vault, found.clear)
    cells = (NAMES[database], *befell, *acknowledged, *map(len, wrong), f"{seconds:.0f}")
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def set_environment(home: Path, database: str, port: int, public_port: int) -> None:
    for name in [name for name in os.environ if name.startswith("LEADLINE_")]:
        del os.environ[name]
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "leadline.workbench.settings",
        "LEADLINE_HOME": str(home),
        "LEADLINE_ADDRESS": f"127.0.0.1:{port}",
        "LEADLINE_PUBLIC_ADDRESS": f"127.0.0.1:{public_port}",
        "LEADLINE_API_RATE": "999999",
        **({"DATABASE_URL": database} if database else {}),
    }


def child(database: str, kills: int) -> int:
    command = [sys.executable, "-m", "bench.attack_office", "--office", database, str(kills)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="" if done.stdout.endswith("\n") else "\n", flush=True)
    return done.returncode


def main(kills: int = 60, only: str = "") -> int:
    from tests.servers import postgresql_programs

    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    code = child("sqlite", kills) if only != "postgresql" else 0
    if only == "sqlite":
        return code
    if not postgresql_programs():
        print("PostgreSQL is not installed, so the office on it was NOT attacked: `make attack` installs it on Debian as root.")
        return code or NOT_ATTACKED
    return child("postgresql", kills) or code


if __name__ == "__main__":
    os.umask(0o077)
    if sys.argv[1:2] == ["--office"]:
        raise SystemExit(attack(sys.argv[2], int(sys.argv[3])))
    raise SystemExit(main(*map(int, sys.argv[1:2]), *sys.argv[2:3]))
