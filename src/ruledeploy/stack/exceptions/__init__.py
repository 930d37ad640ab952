"""Exception lists and their items."""
