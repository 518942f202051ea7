"""Images from drivers and devices: topics, transports, which images belong together."""
