"""Parts that let the whole system run on one machine with nothing installed: for the demo and the tests."""
