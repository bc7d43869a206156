"""A pod's volumes: directories and files on the node, mounted into its containers."""
