"""Training: targets, samplers and the stages of the paper."""
