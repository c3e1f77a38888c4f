"""Detectors trained on detectron2, as published. Only this room imports detectron2."""
