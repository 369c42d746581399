"""Ways to write music in tokens, behind one interface: miditok's schemes, our presets, trained tokenizers."""
