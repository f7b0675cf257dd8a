"""The workbench: accounts, reports, evidence, in one Django project. The only room that knows Django or the database."""
