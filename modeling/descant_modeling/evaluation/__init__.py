"""Measurement of music and models: voice leading, style, likelihood, harmonization, memorization, a report."""
