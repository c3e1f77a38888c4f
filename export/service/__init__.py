"""The search page and its HTTP API, over one or several indexes, for many requests at once."""
