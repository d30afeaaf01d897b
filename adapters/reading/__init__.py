"""Reading the text on pictures of consoles."""
