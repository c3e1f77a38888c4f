"""From photos to batches of views: decoding, cropping, loader workers."""
