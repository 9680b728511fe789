"""Data for programs: delimited values, JSON, XML."""
