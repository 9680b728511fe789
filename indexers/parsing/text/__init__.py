"""Plain text, its encodings and its language."""
