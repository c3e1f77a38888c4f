"""A private hub: the endpoint that the Hugging Face client speaks to, for a team's own encoders, and its pages."""
