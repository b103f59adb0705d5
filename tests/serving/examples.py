"""A request as a caller sends it."""

BRIEF = {  # the brief's own example
    "amount": 500.50,
    "avg_transaction_amount": 300.25,
    "transaction_count": 5,
    "unique_locations": 2,
    "unique_devices": 1,
}
