"""HTTP/1.1 on asyncio: keep-alive, bounded everything, pushed streams, and connections that can be taken over."""
