"""Small helpers that know nothing of detection."""
