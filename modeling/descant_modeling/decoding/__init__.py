"""Decoding: the forward pass, the grammar that constrains it, and sampling."""
