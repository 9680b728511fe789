"""Rerankers: one kind per file."""
