"""The routes of the server: those of its own, of the Open Inference Protocol, and for browsers."""
