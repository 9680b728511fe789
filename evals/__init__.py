"""Datasets, metrics and runs: is retrieval good, and did a change make it better?"""
