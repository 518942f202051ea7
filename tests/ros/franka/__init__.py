"""A process that behaves as the drivers of a Franka Research 3 do, where no robot is."""
