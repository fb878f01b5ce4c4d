"""Export the outcome of a PromptLooper experiment in any registered format."""

__version__ = "0.1.0"
