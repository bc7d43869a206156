"""HorizontalPodAutoscaler: `replicas` turns metrics into a size, `behavior` limits its pace, `controller` acts."""
