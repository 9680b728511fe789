"""Vector stores, one per file, found through entry points."""
