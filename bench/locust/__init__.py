"""A shop's customers, played by Locust, whose own counts are compared with what the proxy says it saw."""
