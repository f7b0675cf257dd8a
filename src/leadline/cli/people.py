"""`leadline people`: who is named at the machine itself. Everybody else comes by invitation from within."""

from __future__ import annotations

from typing import Annotated

import typer

from leadline.cli.office import set_up_office
from leadline.cli.output import EXIT_DONE, say
from leadline.errors import InputError

app = typer.Typer(rich_markup_mode=None, help="Name the second person of an office, at its machine.")
_ROLES = ("administrator", "senior")


@app.command("link")
def link_command(
    role: Annotated[str, typer.Option("--role", help="administrator or senior: both can confirm others.")] = _ROLES[0],
) -> int:
    """Print a one-time link, good for a day, for a person whose account stands by itself.

    Every role needs two people: one who gives it, one who confirms it. So an office needs two people whom nobody
    within it made up: the first administrator, and one more who is named here. Give the link to that person yourself.

    \b
    Examples:
      leadline people link
      leadline people link --role senior

    Exit codes: 0 printed, 1 nobody is set up yet, or not such a role.
    """
    set_up_office()
    from django.conf import settings

    from leadline.workbench.accounts import actions
    from leadline.workbench.office import address_of
    from leadline.workbench.permissions import Role

    if role not in _ROLES:
        raise InputError("not a role that is named at the machine", where="--role", mend=" or ".join(_ROLES))
    say(f"{address_of(settings.LEADLINE_ADDRESS)}/join/{actions.make_machine_link(Role(role))}/")
    return EXIT_DONE


@app.command("vouch")
def vouch_command(
    email: Annotated[str, typer.Argument(help="The address of an account that is there already.")],
) -> int:
    """Say at the machine that an account is a person of its own: its roles are in force, and it can confirm others.

    \b
    Examples:
      leadline people vouch second@example.org

    Exit codes: 0 recorded, 1 nobody of that address waits for it.
    """
    set_up_office()
    from leadline.workbench.accounts import access, actions

    person = access.find_by_email(email)
    if person is None:
        raise InputError("nobody with that address is here", where=email, mend="see the page of people")
    say(f"roles in force: {actions.vouch_at_machine(person)}")
    return EXIT_DONE
