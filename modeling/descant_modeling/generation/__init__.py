"""Generation with models of any instruments: prompts, results and the writer."""
