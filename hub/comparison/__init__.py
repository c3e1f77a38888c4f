"""Reports of several encoders side by side: rows, tables, paired tests, published results; pages and plots of them."""
