"""The gate of a repository: what it holds its losses to, which findings it accepts, and whether it opens."""
