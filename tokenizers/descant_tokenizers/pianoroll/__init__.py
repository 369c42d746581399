"""Piano rolls of notes, and the windows and bars that the GANs learn from."""
