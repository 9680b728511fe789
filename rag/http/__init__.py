"""The one way in which the product fetches from the network: only what a policy allows."""
