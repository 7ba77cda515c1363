"""Requests to answers, one file a route: the endpoint's behaviour apart from HTTP and Ray."""
