"""The live widget."""

from kit.explorer.explorer import Explorer

__all__ = ["Explorer"]
