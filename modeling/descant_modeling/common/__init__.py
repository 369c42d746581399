"""Configuration checks, devices and console output, shared by every package here."""

#: Name of the embedded model that every command uses unless another one is named.
EMBEDDED_DEFAULT = "chorales"
