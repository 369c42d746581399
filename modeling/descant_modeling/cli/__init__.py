"""The `descant` command: one module per command."""
