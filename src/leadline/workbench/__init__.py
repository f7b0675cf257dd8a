"""The workbench: accounts, reports, evidence, in one Django project. Only this room knows Django or the database."""
