"""Which engine runs a statement: rules of the operator, and the engines that they choose among."""
