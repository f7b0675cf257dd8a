"""People, their roles and grants, invitations, keys of the API, and signing in."""
