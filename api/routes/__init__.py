"""What the query API does, one subject per file."""
