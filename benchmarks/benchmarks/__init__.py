"""Benchmarks of fastnn for airspeed velocity (asv)."""
