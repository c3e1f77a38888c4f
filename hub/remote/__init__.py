"""Encoders in Hub repositories: fetched into the client's cache, pulled into folders, pushed in one commit."""
