"""Transformers: architectures, checkpoint folders, batches, likelihood, publishing."""
