"""The version of the kit, for whoever has a checkout that is not installed, too."""

__version__ = "0.1.0"
