"""Where the object is in an image: masks and boxes that come with the data."""
