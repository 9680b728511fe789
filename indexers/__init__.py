"""The write side: from a source to visible rows."""
