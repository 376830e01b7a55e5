"""Files and pictures: written whole, opened safely, fetched only where a host answers."""
