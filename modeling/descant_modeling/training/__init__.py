"""Training: configuration, runs, data, examples, optimizers, the loop."""
