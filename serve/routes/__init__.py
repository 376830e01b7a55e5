"""The routes of the server: its own API, the Open Inference Protocol, and the web page."""
