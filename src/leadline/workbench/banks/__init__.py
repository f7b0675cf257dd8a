"""Banks at the workbench: settings, rights and reasons. Entries live in the bank folders and nowhere else."""
