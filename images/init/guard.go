package main

import (
	"errors"
	"log"
	"time"

	"redhen/images/layout"
	"redhen/images/slot"
)

// guard restarts a box whose slot is on trial and was not confirmed in time; the boot
// loader then starts the other one. It is here and not in redhen, since what is on
// trial may be a redhen that does not even start.
func (s *system) guard() {
	l, err := slot.Open()
	if err != nil {
		if !errors.Is(err, slot.ErrNoSlots) {
			log.Print(err)
		}
		return
	}
	guard(l, layout.PatienceOf(s.cmdline()))
}

// guard returns when the slot is not on trial.
func guard(l slot.Loader, patience time.Duration) {
	trial, err := l.OnTrial()
	if err != nil {
		log.Print(err)
		return // it cannot be confirmed either, and nothing is gained by a restart
	}
	if !trial {
		return
	}
	log.Printf("slot %s is on trial for %v", l.Running(), patience)
	time.Sleep(patience)
	if trial, err = l.OnTrial(); err != nil || !trial {
		return
	}
	log.Printf("slot %s was not healthy in time; restart to the other one", l.Running())
	if err := l.Restart(); err != nil {
		log.Print(err)
	}
}
