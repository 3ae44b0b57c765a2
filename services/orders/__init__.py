"""`orders` sells cars: reserves one, takes its price and has the dealer confirm, or takes all of it back."""
