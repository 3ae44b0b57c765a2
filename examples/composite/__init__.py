"""Orders as a composite: the same API as the saga of `orders`, in one service and one transaction."""
