"""Logging in, signing up, profile, password and sessions, the team, the first-run set-up."""
