"""Demonstrations in and out: the formats of others, a few modules each, made from episodes and made into them."""
