"""Deep Potential: smooth descriptors of embedding networks, and a fitting network of each atom."""
