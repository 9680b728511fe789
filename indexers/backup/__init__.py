"""Backups: what an installation cannot make again, in a folder of plain files."""
