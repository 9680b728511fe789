"""Every installed vector store keeps the contract."""

from rag.testing.vector_stores import *  # noqa: F403
