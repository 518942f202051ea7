"""Every verb of ``mini-diffuser``, one module each."""
