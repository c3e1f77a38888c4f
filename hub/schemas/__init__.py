"""What files that others wrote may hold, a schema each. Imported where such a file is read, for pydantic is slow."""
