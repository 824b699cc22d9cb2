"""Signing up, logging in, organisations and their members."""
