"""How good music is, measured: rules of voice leading, a grade, likelihood, harmonization, memorization, a report."""
