"""The one append-only custody and audit table. Every act of the workbench writes its line in its own transaction."""
