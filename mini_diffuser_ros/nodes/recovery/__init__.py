"""Bringing a robot back after a reflex, and homing its gripper: by its drivers, each step measured."""
