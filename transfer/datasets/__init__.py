"""Readers of labelled photos in the VOC and COCO layouts."""
