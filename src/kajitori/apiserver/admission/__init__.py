"""What is changed in an object, or refused, before it is stored: upstream's default plugins in upstream's order."""
