"""Language models: one kind per file."""
