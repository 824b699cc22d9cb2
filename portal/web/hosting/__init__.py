"""Hosting: the list, the picker, the confirmation, a renewal."""
