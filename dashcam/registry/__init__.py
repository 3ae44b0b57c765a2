"""The registry of our own services: services/catalogue.yaml read and checked, and what is made from it."""
