"""Orders and payment."""
