"""The embedded-atom method: files, splines, kernel, and the three styles made of them."""
