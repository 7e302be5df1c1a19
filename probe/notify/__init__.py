"""Telling others by ourselves: one webhook, in the words of Alertmanager. Nothing here ever holds a probe up."""
