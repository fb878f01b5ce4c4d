"""Tokens without HTTP: the keys they are signed with, and how they are issued."""
