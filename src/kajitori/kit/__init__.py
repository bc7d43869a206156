"""Clock, back-off, bounded queues, logging: what every part needs and the standard library gives."""
