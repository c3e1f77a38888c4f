"""Several processes of one task: how they start or are found, meet, share gradients and batch norm, and end."""
