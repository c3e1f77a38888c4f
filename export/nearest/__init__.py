"""Vectors in files, and the search in them: exact, or by a faiss index that is chosen and measured."""
