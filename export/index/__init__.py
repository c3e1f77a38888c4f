"""The image index: vectors in faiss, the photos they are of, and the pictures of what a search found."""
