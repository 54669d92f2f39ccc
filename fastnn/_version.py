"""The version, on which every module may depend without importing the package."""

__version__ = "0.1.0"
