"""CSV tables that people and programs hand in, read the same way by every command."""
