"""The admin API: HTTP and JSON over the controller. aiohttp serves, pydantic checks and describes."""
