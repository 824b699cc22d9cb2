"""The list of hostings, the picker, the confirmation."""
