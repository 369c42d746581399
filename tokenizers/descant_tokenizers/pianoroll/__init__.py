"""Piano rolls, and the corpora of windows and bars that the GANs are trained on."""
