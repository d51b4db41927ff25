"""Auditing: what is wrong with a poster set, told before anyone trains on it."""

from postergenre.auditing.config import AuditConfig
from postergenre.auditing.run import audit

__all__ = ["AuditConfig", "audit"]
