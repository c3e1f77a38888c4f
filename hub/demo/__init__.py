"""`goodviews demo`: its chain of commands on bundled photos, and the page that it ends in."""
