"""Tokens: the vocabulary, pieces on its grid, the tasks laid out as one stream, and the grammar of legal streams."""
