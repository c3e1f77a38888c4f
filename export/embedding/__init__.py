"""Embedding runs: the vectors of any number of photos, in parts that a stopped run need not repeat, and their files."""
