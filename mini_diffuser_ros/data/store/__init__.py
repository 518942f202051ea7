"""Converted sets: many episodes in one LMDB, their codec, and the conversion that makes them."""
