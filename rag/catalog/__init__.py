"""The truth about documents: tables, and units of work on a connection."""
