"""Coconet: convolutions over pitch and time that write masked cells of four voices in any order."""
