"""The index, and what each database finds words by."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from leadline.workbench.journal.migrating import Statements, Tables

_SQLITE = (
    # Words come folded already (query.split_words); the tokenizer says the same once more.
    "CREATE VIRTUAL TABLE search_words USING fts5(kind, words, content='search_document', content_rowid='id', "
    "columnsize=0, tokenize='unicode61 remove_diacritics 2')",
    # Two segments are merged as well as four: so that `actions.scrub` comes to an end with a single one.
    "INSERT INTO search_words(search_words, rank) VALUES ('usermerge', 2)",
    "CREATE TRIGGER search_document_in AFTER INSERT ON search_document BEGIN "
    "INSERT INTO search_words(rowid, kind, words) VALUES (NEW.id, NEW.kind, NEW.words); END",
    "CREATE TRIGGER search_document_out AFTER DELETE ON search_document BEGIN "
    "INSERT INTO search_words(search_words, rowid, kind, words) VALUES ('delete', OLD.id, OLD.kind, OLD.words); END",
    "CREATE TRIGGER search_document_changed AFTER UPDATE ON search_document BEGIN "
    "INSERT INTO search_words(search_words, rowid, kind, words) VALUES ('delete', OLD.id, OLD.kind, OLD.words); "
    "INSERT INTO search_words(rowid, kind, words) VALUES (NEW.id, NEW.kind, NEW.words); END",
)
_SQLITE_BACK = (
    "DROP TRIGGER search_document_in",
    "DROP TRIGGER search_document_out",
    "DROP TRIGGER search_document_changed",
    "DROP TABLE search_words",
)
_POSTGRESQL = (
    "ALTER TABLE search_document ADD COLUMN vector tsvector "
    "GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, words)) STORED",
    "CREATE INDEX search_vector ON search_document USING gin (vector)",
)
_POSTGRESQL_BACK = ("ALTER TABLE search_document DROP COLUMN vector",)


def install(apps: Any, editor: Any) -> None:
    for statement in _POSTGRESQL if editor.connection.vendor == "postgresql" else _SQLITE:
        editor.execute(statement)


def remove(apps: Any, editor: Any) -> None:
    for statement in _POSTGRESQL_BACK if editor.connection.vendor == "postgresql" else _SQLITE_BACK:
        editor.execute(statement)


class Migration(Tables):

    replaces = [
        ('search', '0001_initial'),
        ('search', '0002_the_newest_of_a_kind'),
    ]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='Document',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=12)),
                ('object_id', models.UUIDField()),
                ('at', models.DateTimeField()),
                ('words', models.TextField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('kind', 'object_id'), name='one_document_of_a_thing')],
                'indexes': [models.Index(fields=['kind', 'id'], name='documents_newest')],
            },
        ),
        migrations.CreateModel(
            name='Progress',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField()),
                ('made_for', models.CharField(max_length=200)),
                ('is_clearing', models.BooleanField(default=False)),
                ('kind', models.CharField(blank=True, max_length=12)),
                ('after', models.CharField(blank=True, max_length=36)),
                ('is_unclean', models.BooleanField(default=False)),
            ],
        ),
        Statements(install, remove),
    ]
