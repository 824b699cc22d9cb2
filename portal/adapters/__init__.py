"""Everything outside: one package a kind, each with base.py (protocol, values, errors), a registry, implementations."""
