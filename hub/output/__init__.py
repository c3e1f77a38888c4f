"""What people see: the terminal, progress, names as they may be printed, pictures, pages from templates."""
