package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"redhen/appliance/update"
	"redhen/images/layout"
	"redhen/images/slot"
)

// slots returns where this computer has its slots, nil when the box is not the one
// that the card is for, or there is no card.
func (a *app) slots() *update.Config {
	if dir, err := filepath.Abs(a.state); err != nil || dir != layout.StateDir || os.Getuid() != 0 {
		return nil
	}
	cfg, err := update.Here()
	if errors.Is(err, slot.ErrNoSlots) {
		return nil
	}
	if err != nil {
		// The box runs all the same: better without updates than not at all.
		fmt.Fprintln(a.err, "redhen: updates do not work:", err)
		return nil
	}
	return &cfg
}

// restarted restarts the computer where the box ended for that, and everything is put down.
func restarted(err error, cfg *update.Config) error {
	if cfg == nil || !errors.Is(err, update.ErrRestart) {
		return err
	}
	return update.New(*cfg).Restart()
}
