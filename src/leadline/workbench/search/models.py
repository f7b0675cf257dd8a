"""Rows of the index: of each thing the words that settings let in. Worth nothing by itself: made again from the rest.

Beside the table lie, by migration 0001, an FTS5 table with its triggers on SQLite, a tsvector and its index on
PostgreSQL. Whoever rebuilds the table in a later migration has to make these again.
"""

from __future__ import annotations

from django.db import models


class Document(models.Model):
    """What one thing is found by. Never asked who may see it: `access` asks the thing's own app.

    id     by `at` (actions.refresh): in the order of ids the newest come last, and no index but FTS5's own is sorted by
    kind   of `kinds.TABLES`
    at     of the thing
    words  as `query.split_words` has them, blanks between; sealed fields only where the settings name them
    """

    kind = models.CharField(max_length=12)
    object_id = models.UUIDField()
    at = models.DateTimeField()
    words = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "object_id"), name="one_document_of_a_thing"),)
        indexes = (models.Index(fields=("kind", "id"), name="documents_newest"),)


class Progress(models.Model):
    """How far the index has come. One row.

    line         of the journal: everything up to it is in the index
    made_for     the fields that the rows hold; others are wished for: all is made anew
    is_clearing  rows are still there that were made for other fields: nothing is found by words meanwhile
    kind, after  the tables are walked through: which one, up to which id; "" where that has ended
    is_unclean   words were taken out that were sealed elsewhere: what the database has kept of them has to go
    """

    line = models.BigIntegerField()
    made_for = models.CharField(max_length=200)
    is_clearing = models.BooleanField(default=False)
    kind = models.CharField(max_length=12, blank=True)
    after = models.CharField(max_length=36, blank=True)
    is_unclean = models.BooleanField(default=False)
