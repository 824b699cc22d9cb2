"""Orders and their payment."""
