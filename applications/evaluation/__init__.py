"""Accuracy of a network on a folder of pictures."""
