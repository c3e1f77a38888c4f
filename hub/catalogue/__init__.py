"""Encoders that others published: what their own pages say of them, and how they are fetched."""
