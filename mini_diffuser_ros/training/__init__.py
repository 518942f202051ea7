"""Training: demonstrations become a policy directory. See ``mini-diffuser train``."""
