"""The query API: FastAPI over the inside. Empty in this version."""
