"""Readers of other tools' results, one module a tool."""
