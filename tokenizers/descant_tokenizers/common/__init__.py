"""Errors, files and the Hub, shared by every package here."""
