"""Sources of documents, one per file, found through entry points."""
