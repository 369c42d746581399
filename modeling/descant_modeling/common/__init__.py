"""Configuration checks, devices and console output, shared by every package here."""
