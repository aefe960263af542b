"""`python -m scaling.checkpoints`: what checkpoints cost, beside the same bytes written plainly."""
