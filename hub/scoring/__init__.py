"""Scores of features and of rankings: kNN votes, the linear probe, average precision, retrieval, 95 % intervals."""
