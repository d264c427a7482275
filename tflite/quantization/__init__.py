"""From a float file to one of integers: ranges observed and mended, then the file itself."""
