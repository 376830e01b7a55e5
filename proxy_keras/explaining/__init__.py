"""Pictures for people: explanations of image files, and a sheet of all augmentations."""
