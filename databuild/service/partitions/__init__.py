"""Records, lineage and changes of partitions, as the service answers them."""
