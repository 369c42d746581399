"""Decoding engines: the forward pass of a checkpoint, one token at a time."""
