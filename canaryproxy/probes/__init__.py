"""What the control plane asks other services: health checks, DNS, scrapes, external checks."""
