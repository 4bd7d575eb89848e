"""How well features of early epochs tell the peak: on networks really trained."""
