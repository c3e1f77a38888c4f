"""What is found in an index: the photos most like some photo, and near-duplicates."""
