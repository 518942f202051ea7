"""From a candidate to an arm at rest in its new place: controllers, measurements, stopping."""
