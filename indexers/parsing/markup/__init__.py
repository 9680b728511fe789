"""Markup that people write: Markdown, HTML, reStructuredText, Org, EPUB."""
