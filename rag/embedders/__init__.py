"""Encoders of text, dense and sparse, found through entry points."""
