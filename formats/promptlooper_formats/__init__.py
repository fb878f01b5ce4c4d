"""The built-in formats, one module each; they use only what any plugin may use."""
