"""The blocks that families share: residual units, and branches that are concatenated."""
