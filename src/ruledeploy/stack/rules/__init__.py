"""Detection rules: create, read, find, replace, merge, delete, and everything in bulk."""
