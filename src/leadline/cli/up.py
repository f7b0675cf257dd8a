"""`leadline up`: the workbench, its public form and its worker, in the foreground."""

from __future__ import annotations

import importlib.util
import os
from typing import Annotated, Any

import typer

from leadline.cli.output import EXIT_DONE, say
from leadline.errors import ConfigError


def up_command(
    demo: Annotated[
        bool, typer.Option("--demo", help="Fill a new workbench with made-up, benign reports, to look around in.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Prepare and check everything, start nothing.")] = False,
) -> int:
    """Serve the workbench, the public report form and the background worker until you stop them.

    Needs no server: SQLite and a vault folder under LEADLINE_HOME. The first start prints a one-time link that makes
    the first administrator; there is no default password. Listens on this machine only, unless TLS or a proxy is set.

    \b
    Examples:
      leadline up
      LEADLINE_HOME=/srv/leadline DATABASE_URL=postgresql://leadline@localhost/leadline leadline up

    Exit codes: 0 ended by you, 2 something would be unsafe or is missing.
    """
    if importlib.util.find_spec("django") is None:
        raise ConfigError("the workbench is not installed", mend="pip install 'leadline[workbench]'")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadline.workbench.settings")
    import django

    django.setup()
    from django.conf import settings

    from leadline.workbench import office
    from leadline.workbench.running import at_work

    with at_work():
        return _work(office, demo=demo, check=check, settings=settings)


def _work(office: Any, *, demo: bool, check: bool, settings: Any) -> int:
    office.prepare_office(say)
    if demo:
        from leadline.workbench.demo import fill_office

        fill_office(say)
    if check:
        say("all is well: nothing was started")
        return EXIT_DONE
    public = settings.LEADLINE_PUBLIC_ADDRESS != "off"
    say(f"workbench    {office.address_of(settings.LEADLINE_ADDRESS)}")
    if public:
        say(f"public form  {office.address_of(settings.LEADLINE_PUBLIC_ADDRESS)}")
    if link := office.setup_link():
        say("", "the first administrator is made here, once, within a day:", f"  {link}", "")
    say("Ctrl-C ends it")
    office.Supervisor(office.commands(public=public), say).run()
    return EXIT_DONE
