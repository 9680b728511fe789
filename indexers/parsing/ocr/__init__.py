"""Text in pictures of pages, read by the program Tesseract where it is installed."""
