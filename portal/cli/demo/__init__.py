"""`portal demo`: everything on this machine, and the whole story played through it."""

from portal.cli.demo.command import demo

__all__ = ["demo"]
