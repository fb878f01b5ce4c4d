"""Configs that something, somewhere, does not read back."""

from formats.configs import NASTY, Config

CORPUS: dict[str, Config] = NASTY
