"""The way to an API server: requests, caches kept by watches, events, leader election."""
