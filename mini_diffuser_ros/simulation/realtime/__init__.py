"""The table-top world in real time: what stands in for the hardware and its controllers."""
