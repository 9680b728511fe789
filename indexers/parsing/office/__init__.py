"""Documents of office suites: text, structure and properties."""
