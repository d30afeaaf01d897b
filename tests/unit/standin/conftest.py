"""Stand-in hosts for the tests of this folder."""

from tests.standin.fixtures import standin_host, standin_host_with_engine

__all__ = ["standin_host", "standin_host_with_engine"]
