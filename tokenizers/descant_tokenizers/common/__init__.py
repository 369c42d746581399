"""Errors, files and the Hugging Face Hub, shared by all packages."""
