"""A run from its start to its end: checks, the RUN folder, the one training loop, checkpoints, metrics."""
