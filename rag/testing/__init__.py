"""Conformance suites of the ports, for our own plug-ins and those of others."""
