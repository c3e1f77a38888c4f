"""The views for photos of one's own: which strengths to pretrain with, and how sure that is."""
