"""Services' endpoints: EndpointSlices of pods, the older Endpoints beside them, slices of hand-written Endpoints."""
