"""Data sets, held on the device where they fit, and augmentation in batches."""
