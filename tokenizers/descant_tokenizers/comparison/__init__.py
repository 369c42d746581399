"""Tokenization schemes side by side: miditok's, the presets and trained tokenizers."""
