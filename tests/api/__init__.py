"""The API against a service of its own."""
