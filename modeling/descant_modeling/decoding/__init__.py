"""Generation: the decoding forward pass, the grammar that steers it, and what is done with its tokens."""
