"""Energy functions in JAX that come with mdapp, for the style `jax`; each is one file."""
