"""`mdapp validate`: whether an implementation of a potential may be trusted in a parallel run."""
