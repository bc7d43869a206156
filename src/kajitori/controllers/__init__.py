"""Control loops: each drives what is observed towards what is desired."""
