"""What is recorded of an encoder: reports of measurements, their evidence, and the card made from them."""
