"""Generation with causal models: requests, prompts, results and the two generators."""
