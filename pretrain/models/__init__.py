"""Networks, their EMA copies and memories, the losses and the optimizers: what learns and remembers."""
