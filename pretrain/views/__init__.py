"""Views as programs over batches: what a view is, and the operations it is made of."""
