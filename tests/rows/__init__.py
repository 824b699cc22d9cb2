"""Rows for tests, one kind of table a module; tests.factories puts them together."""
