"""`goodviews doctor`: what is installed, whether it works, and what mends each lack."""
