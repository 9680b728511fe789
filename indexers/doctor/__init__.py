"""Comparing what should agree, and making it agree: catalog, stores, kept files, caches."""
