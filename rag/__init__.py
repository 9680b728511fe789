"""Cumulo's inside: nouns, meanings, seams, and how a question is answered."""

__version__ = "0.4.0"
