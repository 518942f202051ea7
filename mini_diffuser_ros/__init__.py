"""Mini Diffuser for ROS 2: RGB-D images and a sentence become ranked keyframes and safe arm motion."""

__version__ = "0.2.0"
