"""Certificate authorities."""
