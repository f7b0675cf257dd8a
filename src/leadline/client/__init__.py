"""The match service's Python client. Imports errors and domain only; opens no bank and decodes nothing."""
