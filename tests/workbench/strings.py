"""Every string of the workbench that a person may read, collected from its source: what the catalogues translate.

Templates, modules, words for codes, the sentences of errors that pages show, the texts of shipped law data.
`make translations` runs this file: it brings new strings into the catalogues, drops those that are gone, and compiles.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polib
import yaml
from django.utils.translation.template import templatize

from leadline import errors
from leadline.workbench.words import WORDS

SOURCE = Path(errors.__file__).parent
WORKBENCH = SOURCE / "workbench"
LANGUAGES = ("fr", "nl", "de")
_LITERAL = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_IN_TEMPLATES = re.compile(rf"\b(n?p?gettext)\(({_LITERAL}(?:\s*,\s*{_LITERAL})*)", re.DOTALL)
_GETTEXT = re.compile(r"(?:_|(?P<kind>n?p?gettext)(?:_lazy|_noop)?)")
_ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
# What is said at the machine itself, to whoever runs it, or to programs: in the language of the manual.
_AT_THE_MACHINE = {
    *("settings.py", "public_settings.py", "backup.py", "demo.py", "office.py", "running.py", "server.py", "api.py"),
    *("chain.py", "sealing.py", "mailbox.py", "worker.py"),
}
# Below the workbench: whose errors a page of it shows, since it hands them what a person gave. Of `exchange` the readers
# of files: what connectors say of a source is said at the machine, and pages name it by its code.
_READERS = ("base", "bulk", "bulk_record", "csv_list", "csv_rows", "detect", "iccam", "incoming", "ncmec_report")
_READERS += ("hashdeep", "icse", "lists", "nsrl", "nsrl_database")
_READERS += ("pinned", "text_list", "vics", "vics_case")
_BELOW = ("selectors", "law/assessments.py", "law/labels.py", "law/matrix.py", "law/matrix_files.py")
_BELOW += tuple(f"exchange/{name}.py" for name in _READERS)
_BELOW += ("match/admission.py", "match/folder.py", "custody/vault.py", "custody/storage.py")


class Text(NamedTuple):
    """context: what tells meanings of one word apart; plural: "" where there is none."""

    context: str
    one: str
    plural: str = ""


def _text_of(kind: str, arguments: list[str]) -> Text:
    context = arguments.pop(0) if "p" in kind.removesuffix("gettext") else ""
    return Text(context, arguments[0], arguments[1] if kind.startswith("n") else "")


def of_template(source: str, name: str) -> Iterator[Text]:
    for kind, arguments in _IN_TEMPLATES.findall(templatize(source, origin=name)):
        literals = re.findall(_LITERAL, arguments, re.DOTALL)
        yield _text_of(kind, [ast.literal_eval(text.removeprefix("u")) for text in literals])


def _constants(nodes: list[ast.expr]) -> list[str]:
    either = [one for node in nodes for one in ((node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,))]
    return [one.value for one in either if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node


def of_module(tree: ast.AST) -> Iterator[Text]:
    for name, call in _calls(tree):
        found = _GETTEXT.fullmatch(name)
        if found and (arguments := _constants(call.args)):
            yield _text_of(found["kind"] or "gettext", arguments)


def of_errors(tree: ast.AST) -> Iterator[Text]:
    """What an error says happened and how to mend it, where that is constant, also by way of a name."""
    held = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for name, call in _calls(tree):
        if name == "sentence":
            yield from (Text("", text) for text in _constants(call.args))
        if name in _ERRORS:
            said = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "mend")]
            said = [held.get(one.id, one) if isinstance(one, ast.Name) else one for one in said]
            yield from (Text("", text) for text in _constants(said) if text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "require":
            yield from (Text("", text) for text in _constants(node.args))  # RecordHashes raises it as an error


def of_law_data() -> Iterator[tuple[Path, Text]]:
    """Questions, their answers, names of laws; labels of official schemes and what laws say are quoted, and stay as they are."""
    data = SOURCE / "law" / "data"
    laws = data / "jurisdictions.yaml"
    for law in yaml.load(laws.read_text(encoding="utf-8"), yaml.BaseLoader)["jurisdictions"]:
        yield laws, Text("", law["name"])
    for path in (data / "questions.yaml", *sorted((data / "assessments").glob("*.yaml"))):
        for question in yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)["questions"]:
            yield path, Text("", question["text"])
            yield from ((path, Text("", code["name"])) for code in question.get("codes", ()))


def of_case_templates() -> Iterator[tuple[Path, Text]]:
    for path in sorted((WORKBENCH / "cases" / "data").glob("*.yaml")):
        template = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
        yield from ((path, Text("", text)) for text in (template["name"], *(t["text"] for t in template["tasks"])))


def _sources() -> Iterator[tuple[Path, Text]]:
    for path in sorted(WORKBENCH.rglob("*.html")):
        yield from ((path, text) for text in of_template(path.read_text(encoding="utf-8"), path.name))
    yield from ((WORKBENCH / "words.py", Text(kind, word)) for kind, words in WORDS.items() for word in words.values())
    for path in sorted(WORKBENCH.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield from ((path, text) for text in of_module(tree))
        if path.name not in _AT_THE_MACHINE:
            yield from ((path, text) for text in _of_functions(tree))
    for place in _BELOW:
        for path in sorted((SOURCE / place).rglob("*.py")) if (SOURCE / place).is_dir() else [SOURCE / place]:
            yield from ((path, text) for text in _of_functions(ast.parse(path.read_text(encoding="utf-8"))))
    yield from of_law_data()
    yield from of_case_templates()


def _of_functions(tree: ast.Module) -> Iterator[Text]:
    """A name holds what it was given in the same function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from of_errors(node)


def collect() -> dict[Text, list[str]]:
    """Each text, and the files that show it."""
    found: dict[Text, list[str]] = {}
    for path, text in _sources():
        places = found.setdefault(text, [])
        place = str(path.relative_to(WORKBENCH if path.is_relative_to(WORKBENCH) else SOURCE.parent))
        if place not in places:
            places.append(place)
    return found


def catalogue(language: str) -> Path:
    return WORKBENCH / "locale" / language / "LC_MESSAGES" / "django.po"


def text_of(entry: Any) -> Text:
    return Text(entry.msgctxt or "", entry.msgid, entry.msgid_plural or "")


def update(language: str, texts: dict[Text, list[str]]) -> int:
    """Bring a catalogue up to its source and compile it; how many of its texts have no translation yet."""
    path = catalogue(language)
    old = polib.pofile(str(path))
    known = {text_of(entry): entry for entry in old}
    new = polib.POFile(wrapwidth=78)
    new.metadata = old.metadata
    for text, places in texts.items():
        held = known.get(text)
        new.append(
            polib.POEntry(
                msgctxt=text.context or None,
                msgid=text.one,
                msgid_plural=text.plural,
                msgstr=held.msgstr if held is not None else "",
                msgstr_plural=(held.msgstr_plural if held is not None else {0: "", 1: ""}) if text.plural else {},
                occurrences=[(place, "") for place in places],
            )
        )
    new.save(str(path))
    new.save_as_mofile(str(path.with_suffix(".mo")))
    return len(new.untranslated_entries())


if __name__ == "__main__":
    every = collect()
    for code in LANGUAGES:
        print(f"{code}: {len(every)} texts, {update(code, every)} of them without a translation")
