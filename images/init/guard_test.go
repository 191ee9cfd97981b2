package main

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"redhen/images/layout"
	"redhen/images/slot"
)

// loader is a boot loader that remembers.
type loader struct {
	slot.Loader
	mu        sync.Mutex // guards trial
	trial     bool
	err       error
	restarted time.Time
}

func (l *loader) Running() layout.Slot { return layout.B }
func (l *loader) OnTrial() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trial, l.err
}

func (l *loader) confirm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trial = false
}
func (l *loader) Restart() error { l.restarted = time.Now(); return nil }

func TestGuardRestartsWhatIsNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, begin := &loader{trial: true}, time.Now()
		guard(l, layout.Patience)
		if got := l.restarted.Sub(begin); got != layout.Patience {
			t.Errorf("restarted after %v, want %v", got, layout.Patience)
		}
	})
}

func TestGuardLeavesWhatIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{trial: true}
		time.AfterFunc(time.Minute, l.confirm)
		guard(l, layout.Patience)
		if !l.restarted.IsZero() {
			t.Error("a slot that was confirmed in time was restarted")
		}
	})
}

func TestGuardDoesNothingWithoutTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, l := range []*loader{{}, {trial: true, err: errors.New("no FAT")}} {
			begin := time.Now()
			guard(l, layout.Patience)
			if !l.restarted.IsZero() || time.Since(begin) != 0 {
				t.Errorf("%v: restarted %v", l.err, l.restarted)
			}
		}
	})
}
