"""`goodviews demo`: the whole chain on bundled photos, and the page it ends in."""
