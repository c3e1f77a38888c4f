"""Reports of several encoders put side by side: rows, tables, paired tests, a plot."""
