"""A search page that needs no server: encoder, vectors and thumbnails in a folder that any file server can offer."""
