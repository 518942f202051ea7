"""The type of what may be text or a substitution."""

from launch.core import SomeSubstitutionsType

__all__ = ["SomeSubstitutionsType"]
