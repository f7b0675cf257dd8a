"""Mails are taken from a real IMAP server (Dovecot), once each, and none stays where media may not be kept."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.conf import settings as office_settings
from tests.servers import free_port, skip_without
from tests.workbench.reports.conftest import Resolve, draw_png, mail_with_file, make_mail

from leadline.errors import ConfigError, MailboxUnavailable
from leadline.workbench.journal.actions import claim_duty
from leadline.workbench.journal.models import Duty
from leadline.workbench.reports import mailbox, tasks
from leadline.workbench.reports.acts import arrival
from leadline.workbench.reports.mailbox import Fate, Mailbox
from leadline.workbench.reports.models import Report

USER, PASSWORD = "reports", "made up password"


def _config(folder: Path, port: int, who: str, group: str) -> str:
    return f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_login_user = {who}
default_internal_user = {who}
default_internal_group = {group}
first_valid_uid = 1
mail_location = maildir:{folder}/mail
passdb {{
  driver = static
  args = password={PASSWORD.replace(" ", "_")}
}}
userdb {{
  driver = static
  args = uid={who} gid={group} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""


@pytest.fixture(scope="module")
def dovecot() -> Iterator[int]:
    """Its port. As root it runs as Debian's own user of it; else as whoever runs the tests.

    Not in pytest's folder: that is closed to other users again by every session that starts meanwhile.
    """
    skip_without("dovecot-imapd")
    with TemporaryDirectory(prefix="leadline-dovecot-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        entry = pwd.getpwnam("dovecot") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        group, port = grp.getgrgid(entry.pw_gid).gr_name, free_port()
        (folder / "dovecot.conf").write_text(_config(folder, port, entry.pw_name, group))
        for inner in ("run", "state", "home", "mail"):
            (folder / inner).mkdir()
            os.chown(folder / inner, entry.pw_uid, entry.pw_gid)
        command = ["dovecot", "-F", "-c", str(folder / "dovecot.conf")]
        server = subprocess.Popen(command, env={"PATH": "/usr/sbin:/usr/bin:/bin"})
        try:
            _wait(port, folder)
            yield port
        finally:
            server.terminate()
            server.wait(20)


def _wait(port: int, folder: Path) -> None:
    for _ in range(100):
        try:
            imaplib.IMAP4("127.0.0.1", port, timeout=2).logout()
            return
        except (OSError, imaplib.IMAP4.error):
            time.sleep(0.1)
    log = folder / "log"
    pytest.fail(log.read_text() if log.exists() else "dovecot did not start")


@pytest.fixture
def inbox(dovecot: int, settings: Any, office: Any) -> Iterator[imaplib.IMAP4]:
    """A mailbox that is empty, and the office's setting for it."""
    settings.LEADLINE_IMAP = {
        "scheme": "imap", "host": "127.0.0.1", "port": dovecot, "user": USER,
        "password": PASSWORD.replace(" ", "_"), "path": "",
    }  # fmt: skip
    imap = imaplib.IMAP4("127.0.0.1", dovecot, timeout=10)
    imap.login(USER, PASSWORD.replace(" ", "_"))
    if int(imap.select("INBOX")[1][0] or b"0"):
        imap.store("1:*", "+FLAGS", r"(\Deleted)")
        imap.expunge()
    yield imap
    imap.logout()


def left(inbox: imaplib.IMAP4, *criteria: str) -> int:
    inbox.noop()
    return len(inbox.search(None, *(criteria or ("ALL",)))[1][0].split())


def test_a_mail_becomes_a_report_and_is_expunged(inbox: imaplib.IMAP4, resolver: Resolve) -> None:
    inbox.append("INBOX", "", "", make_mail())
    inbox.append("INBOX", "", "", mail_with_file("a.png", draw_png(3)))
    assert tasks.poll_mail(resolver) == 2
    assert set(Report.objects.values_list("channel", "source")) == {("mail", "mail")}
    assert left(inbox) == 0
    assert tasks.poll_mail(resolver) == 0
    assert Report.objects.count() == 2


def test_where_media_are_kept_the_mail_stays_and_is_marked_as_read(
    inbox: imaplib.IMAP4, resolver: Resolve, keeping: None
) -> None:
    inbox.append("INBOX", "", "", make_mail())
    tasks.poll_mail(resolver)
    assert (left(inbox), left(inbox, "SEEN")) == (1, 1)
    assert tasks.poll_mail(resolver) == 0
    assert Report.objects.count() == 1


def test_a_stop_between_receiving_and_expunging_makes_no_second_report(
    inbox: imaplib.IMAP4, resolver: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.append("INBOX", "", "", make_mail())

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Mailbox, "settle", stopped)
        with pytest.raises(KeyboardInterrupt):
            tasks.poll_mail(resolver)
    assert (Report.objects.count(), left(inbox)) == (1, 1)
    tasks.poll_mail(resolver)
    assert (Report.objects.count(), left(inbox)) == (1, 0)


def test_a_stop_before_the_report_is_stored_leaves_the_mail(
    inbox: imaplib.IMAP4, resolver: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.append("INBOX", "", '"02-Nov-2026 03:04:05 +0100"', make_mail())
    claim_duty("reports.mail", 60)

    def gone(*_: Any) -> None:
        raise OSError("made up")

    with monkeypatch.context() as patch:
        patch.setattr(arrival, "_store", gone)
        with pytest.raises(OSError, match="made up"):
            tasks.poll_mail(resolver)
    assert (Report.objects.count(), left(inbox, "UNSEEN")) == (0, 1)
    assert Duty.objects.get(pk="reports.mail").waits_since == datetime(2026, 11, 2, 2, 4, 5, tzinfo=UTC)
    tasks.poll_mail(resolver)
    assert Report.objects.count() == 1
    assert Duty.objects.get(pk="reports.mail").waits_since is None


def test_a_mail_that_cannot_be_read_stays_marked_and_holds_up_no_other(
    inbox: imaplib.IMAP4, resolver: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.append("INBOX", "", "", b"Subject: no sender\r\n\r\nx\r\n")
    inbox.append("INBOX", "", "", make_mail())
    monkeypatch.setattr(mailbox, "MAX_MAIL_BYTES", 5000)
    inbox.append("INBOX", "", "", make_mail(b"x" * 6000 + b"\r\n"))
    assert tasks.poll_mail(resolver) == 3
    assert Report.objects.count() == 1
    assert left(inbox, "FLAGGED") == 2
    assert tasks.poll_mail(resolver) == 0


def test_a_wrong_password_is_a_fault_of_the_configuration(inbox: imaplib.IMAP4, settings: Any) -> None:
    settings.LEADLINE_IMAP = {**settings.LEADLINE_IMAP, "password": "wrong"}
    with pytest.raises(ConfigError) as caught:
        tasks.poll_mail()
    assert "wrong" not in str(caught.value)


def test_a_folder_that_is_not_there_is_a_fault_of_the_configuration(inbox: imaplib.IMAP4, settings: Any) -> None:
    for path in ("absent", 'in"ject', "a\r\nb"):
        settings.LEADLINE_IMAP = {**settings.LEADLINE_IMAP, "path": path}
        with pytest.raises(ConfigError):
            tasks.poll_mail()


def test_a_server_that_is_away_is_tried_again(office: Any, settings: Any) -> None:
    settings.LEADLINE_IMAP = {
        "scheme": "imap", "host": "127.0.0.1", "port": free_port(), "user": "a", "password": "b", "path": "",
    }  # fmt: skip
    with pytest.raises(MailboxUnavailable) as caught:
        tasks.poll_mail()
    assert caught.value.permanent is False


def test_without_a_mailbox_nothing_is_polled(office: Any) -> None:
    assert office_settings.LEADLINE_IMAP is None
    assert tasks.poll_mail() == 0


def test_settling_a_mail_twice_does_no_harm(inbox: imaplib.IMAP4, settings: Any) -> None:
    inbox.append("INBOX", "", "", make_mail())
    with Mailbox(settings.LEADLINE_IMAP) as opened:
        (letter,) = opened.letters()
        opened.settle(letter, Fate.EXPUNGE)
        opened.settle(letter, Fate.EXPUNGE)
    assert left(inbox) == 0


def test_a_server_that_cannot_expunge_one_mail_never_takes_others_with_it(
    inbox: imaplib.IMAP4, resolver: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real server again, of which the office does not see that it knows UIDPLUS."""
    monkeypatch.setattr(imaplib.IMAP4, "capability", lambda imap: ("OK", [b"IMAP4rev1 IDLE"]))
    inbox.append("INBOX", "", "", make_mail())
    assert tasks.poll_mail(resolver) == 1
    assert left(inbox) == 0
    inbox.append("INBOX", r"(\Deleted \Seen)", "", make_mail(subject="of a colleague"))
    inbox.append("INBOX", "", "", make_mail(subject="a second report"))
    with pytest.raises(ConfigError, match="others marked as deleted"):
        tasks.poll_mail(resolver)
    assert left(inbox) == 2
    assert Report.objects.count() == 1


def test_a_server_that_can_takes_away_one_mail_and_leaves_those_that_others_marked(
    inbox: imaplib.IMAP4, resolver: Resolve
) -> None:
    inbox.append("INBOX", r"(\Deleted \Seen)", "", make_mail(subject="of a colleague"))
    inbox.append("INBOX", "", "", make_mail())
    assert tasks.poll_mail(resolver) == 1
    assert (left(inbox), left(inbox, "DELETED")) == (1, 1)
