"""Scores on frozen features: nearest neighbours, the linear probe, average precision."""
