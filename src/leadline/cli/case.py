"""`leadline case`: a case of another system comes in as a case of the office, and goes out again. Shows no content."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from leadline.cli.office import set_up_office
from leadline.cli.options import Json, check_text
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, EXIT_PARTLY, Faults, emit, say, table
from leadline.domain import Tlp
from leadline.errors import InputError

app = typer.Typer(rich_markup_mode=None, help="Read a VICS case into the office, or write one out.")
_PAPS = ("red", "amber", "green", "clear")
_SENSITIVITIES = ("ordinary", "sensitive", "restricted")


@app.command("import")
def import_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="VICS JSON, root #Cases or #Media.")],
    lead: Annotated[str, typer.Option("--lead", metavar="EMAIL", help="Who leads a case that is new here.")],
    media: Annotated[
        str, typer.Option("--media", metavar="FOLDER", help="Folder that the paths of the records lie in.")
    ] = "",
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme", callback=check_text, help="Whose category codes they are, over what the file says: vics:US."
        ),
    ] = "",
    tlp: Annotated[Tlp, typer.Option("--tlp", help="TLP of a case that is new here.")] = Tlp.AMBER_STRICT,
    pap: Annotated[str, typer.Option("--pap", help="PAP of it: red, amber, green or clear.")] = "amber",
    sensitivity: Annotated[
        str, typer.Option("--sensitivity", help="Who may see it: ordinary, sensitive or restricted.")
    ] = "sensitive",
    json: Json = False,
) -> int:
    """Read a VICS case, JSON and a folder of media, into the office. The same case again goes on where it stopped.

    Each media file is taken in as the office's media mode says: kept, or hashed and let go; where the office takes no
    files only the records come in. A file has to have the hashes of its record. A path that leads outside the folder,
    and a link, are refused. What the file calls a record stays with it as (scheme, code), marked as imported: nobody
    here has assessed it. came in + without a file + refused is the number of records. What nobody here knows, a kind of
    hash say, is kept with its record and counted by name as unknown. A malformed hash never costs a record its good
    ones: it alone is refused, told, and counted.

    \b
    Examples:
      leadline case import export/case.json --media export --lead ann@example.org
      leadline case import case.json --lead ann@example.org --scheme vics:US --json

    Exit codes: 0 all in, 1 nothing came in, or this person may not lead it, 2 wrong use, 3 in, but for records or
    single hashes that were refused, or records that name a file that is not there, 130 stopped by you: run it again.
    """
    if pap not in _PAPS:
        raise typer.BadParameter(", ".join(_PAPS), param_hint="--pap")
    if sensitivity not in _SENSITIVITIES:
        raise typer.BadParameter(", ".join(_SENSITIVITIES), param_hint="--sensitivity")
    set_up_office()
    from leadline.workbench.accounts.access import find_by_email
    from leadline.workbench.cases.actions import Handling, import_cases
    from leadline.workbench.cases.folder import MediaFolder
    from leadline.workbench.cases.states import Pap
    from leadline.workbench.permissions import Sensitivity
    from leadline.workbench.running import at_work

    person = find_by_email(lead)
    if person is None:
        raise InputError("nobody with that address is here", where="--lead", mend="see the page of people")
    handling = Handling(tlp, Pap(pap), Sensitivity[sensitivity.upper()])
    faults = Faults(file)
    with at_work(), MediaFolder(Path(media)) if media else nullcontext() as folder:
        tallies = import_cases(Path(file), folder, lead=person, handling=handling, scheme=scheme, complain=faults.note)
    faults.finish()
    for tally in tallies:
        _tell(tally, json=json)
    return _exit_code(tallies)


def _tell(tally: Any, *, json: bool) -> None:
    counts = {
        "records": tally.records, "came_in": tally.came_in, "without_file": tally.without_file,
        "refused": tally.refused, "again": tally.again, "refused_hashes": tally.refused_hashes,
    }  # fmt: skip
    if json:
        beside = {"faults": dict(tally.faults), "unknown": dict(tally.unknown)}
        emit({"case": tally.number, "id": tally.case_id, "new": tally.is_new, **counts, **beside})
        return
    say(f"{tally.number}  {'new' if tally.is_new else 'was here already'}")
    say(*table([(name.replace("_", " "), value) for name, value in counts.items()]))
    say(*table([(f"  {code}", count) for code, count in sorted(tally.faults.items())]))
    say(*table([(f"  unknown: {name}", count) for name, count in sorted(tally.unknown.items())]))


def _exit_code(tallies: list[Any]) -> int:
    if not any(tally.faults or tally.refused_hashes for tally in tallies):
        return EXIT_DONE
    return EXIT_PARTLY if any(tally.records > tally.refused for tally in tallies) else EXIT_NOTHING


@app.command("export")
def export_command(
    case: Annotated[str, typer.Argument(metavar="NUMBER", help="Number of the case, C-2026-0001.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where to; a file that is there is kept.")],
    category_set: Annotated[
        str, typer.Option("--category-set", help="Whose category codes the file has; default: as they came in.")
    ] = "",
    selectors: Annotated[
        bool, typer.Option("--selectors", help="Selectors too, each with its role; those in doubt are left out.")
    ] = False,
    json: Json = False,
) -> int:
    """Write a case as VICS JSON: hashes and labels, no file. Files leave in an exhibit only, released by two people.

    A category is a person's assessment where one is in force, else what was imported, and says which. All labels stand
    beside it with scheme, version and whose word each is.

    \b
    Examples:
      leadline case export C-2026-0001 --out case.json
      leadline case export C-2026-0001 --out case.json --category-set US --selectors

    Exit codes: 0 written, 1 there is no such case, or the file is there already, 2 wrong use.
    """
    set_up_office()
    from leadline.workbench.cases.access import find_by_number
    from leadline.workbench.cases.actions import export_case
    from leadline.workbench.running import at_work

    with at_work():
        found = find_by_number(case)
        if found is None:
            raise InputError("no such case", where=case, mend="see the page of cases")
        with open(out, "xb", opener=_private) as stream:
            made = export_case(None, found.pk, category_set=category_set, with_selectors=selectors)
            for piece in made.pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
    told = {"case": found.number, "records": made.records, "selectors": made.selectors, "left_out": made.left_out}
    if json:
        emit(told)
    else:
        say(*table([(name.replace("_", " "), value) for name, value in told.items()]))
    return EXIT_DONE


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
