"""Detectors trained on torchvision, which runs everywhere."""
