"""Where measurements run."""
