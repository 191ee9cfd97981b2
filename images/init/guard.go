package main

// guard watches a slot that is on trial.
func (s *system) guard() {}
