"""The bucket and the trained model that the other trainer tests have."""

from tests.unit.trainer.conftest import bucket, s3_endpoint, trained

__all__ = ["bucket", "s3_endpoint", "trained"]
