"""What stopping saves and what it costs: replays of whole tasks."""
