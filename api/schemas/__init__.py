"""What requests and replies look like: pydantic at the border, nowhere inside."""
