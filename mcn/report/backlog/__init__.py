"""How far the corpus has come, and when it will be done."""
