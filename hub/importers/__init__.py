"""Checkpoints that others wrote become encoder folders, and encoder folders files that others read."""
