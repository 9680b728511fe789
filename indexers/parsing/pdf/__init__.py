"""PDF: from the characters on a page to prose in reading order, headings, lists and tables."""
