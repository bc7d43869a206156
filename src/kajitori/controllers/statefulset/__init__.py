"""StatefulSet: pods with names, volumes and an order. `identity` names them, `plan` decides, `controller` acts."""
