"""Something to watch at once: four small embedded services and a store that names them."""
