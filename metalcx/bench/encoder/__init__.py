"""How well architectures tell accuracy: the encoders' protocol."""
