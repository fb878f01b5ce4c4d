"""The command-line door, one module a command."""
