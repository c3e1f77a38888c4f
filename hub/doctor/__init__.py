"""`goodviews doctor`: what is installed, whether it works, and how to fix the rest."""
