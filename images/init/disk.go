package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"redhen/images/datadisk"
	"redhen/images/datapart"
	"redhen/images/layout"
)

// diskPatience is how long a start waits for the data disk: one on USB takes a few
// seconds until the kernel knows it, one with platters until they turn.
const diskPatience = 40 * time.Second

// dataDisk has the state directory be where the box keeps it: on the card, where nothing
// says otherwise, or on a data disk; or has it move there.
func (s *system) dataDisk() {
	if len(s.fatal) > 0 {
		return
	}
	o, ordered, err := datadisk.Read(layout.DataDir)
	if err != nil {
		s.end("The card does not say any more which disk has the data of this box (%v). Nothing was changed. Write the card anew and let the box take the place of the old one.", err)
		return
	}
	if !ordered {
		return
	}
	err = errors.New(o.Failed)
	if o.Failed == "" {
		err = s.openDisk(o)
	}
	if err != nil {
		s.noDisk(o, err)
		return
	}
	if !o.Moved {
		s.move = &move{order: o}
	}
}

// errNoDisk says that the data disk is not plugged in.
var errNoDisk = errors.New("it is not plugged in")

// openDisk mounts the data disk, and the state directory from it once it is there.
func (s *system) openDisk(o datadisk.Order) error {
	part, ok := s.findDisk(o.Part, diskPatience)
	if !ok {
		return errNoDisk
	}
	if err := s.judgeDisk(part, o); err != nil {
		return err
	}
	if err := os.MkdirAll(layout.DiskDir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount(part, layout.DiskDir, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", part, err)
	}
	if !o.Moved {
		return nil
	}
	return bindState(filepath.Join(layout.DiskDir, layout.DiskState), layout.StateDir)
}

// judgeDisk looks at the file system of the disk, as is done with the card's.
func (s *system) judgeDisk(part string, o datadisk.Order) error {
	f, err := os.Open(part)
	if err != nil {
		return err
	}
	defer f.Close()
	switch state, err := datapart.Look(f); {
	case err != nil:
		return err
	case state == datapart.Faulty:
		s.trouble(layout.Fault{Code: layout.DiskFaulty, Disk: o.Words})
	case state != datapart.Ready:
		return errors.New("what is on it is damaged, or not redhen's")
	}
	return nil
}

// findDisk waits until the kernel knows the disk.
func (s *system) findDisk(part string, patience time.Duration) (device string, ok bool) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
		if device, ok = datadisk.Find(s.root, "/dev", part); ok || time.Now().After(end) {
			return device, ok
		}
	}
}

// bindState puts the state directory of the disk over that of the card. What the card
// still has was moved, and is removed: an old state must never run again.
func bindState(onDisk, state string) error {
	if _, err := os.Stat(onDisk); err != nil {
		return err
	}
	if err := os.RemoveAll(state); err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	return syscall.Mount(onDisk, state, "", syscall.MS_BIND, "")
}

// noDisk goes on without the disk where nothing is on it yet, and does not run where all is.
func (s *system) noDisk(o datadisk.Order, err error) {
	if !o.Moved {
		if err := datadisk.Withdraw(layout.DataDir); err != nil {
			log.Print(err)
		}
		s.trouble(layout.Fault{Code: layout.NotMoved, Disk: o.Words, Why: err.Error()})
		return
	}
	if errors.Is(err, errNoDisk) {
		s.lost = o.Part
		s.end("What this box keeps is on %s, which is not plugged in. Nothing is lost. Plug it in, and the box starts by itself. If it is broken, write the card anew and let the box take the place of the old one: what friends keep comes back.", o.Words)
		return
	}
	s.end("What this box keeps is on %s, which cannot be used (%v). Nothing was changed. Take the power off and on again; if that does not help, write the card anew and let the box take the place of the old one: what friends keep comes back.", o.Words, err)
}

// awaitDisk restarts the box when the disk that was not there is.
func (s *system) awaitDisk() {
	if s.lost == "" {
		return
	}
	for {
		if _, ok := s.findDisk(s.lost, time.Hour); ok {
			restart()
			return
		}
	}
}

// restart restarts the box, into the slot that is confirmed.
func restart() {
	syscall.Sync()
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART); err != nil {
		log.Printf("restart: %v", err)
	}
}

// move is the data of the box on its way from the card to a disk.
type move struct {
	order       datadisk.Order
	done, total atomic.Int64 // bytes
}

// sentence tells how far it is.
func (m *move) sentence() string {
	const mib = 1 << 20
	return fmt.Sprintf("What this box keeps moves from its card to %s: %d of %d MiB are there. Nothing is lost, and friends go on meanwhile. Leave the power on; the box comes back by itself.",
		m.order.Words, m.done.Load()/mib, m.total.Load()/mib)
}

// run moves all of it and restarts the box. Until the order says so, the card counts and
// the move can begin again; from then on the disk does.
func (m *move) run() {
	begin := time.Now()
	err := m.copy()
	if err == nil {
		m.order.Moved = true
		err = m.order.Write(layout.DataDir)
	}
	if err != nil {
		log.Printf("move to %s: %v", m.order.Words, err)
		m.order.Moved, m.order.Failed = false, err.Error()
		if err := m.order.Write(layout.DataDir); err != nil {
			log.Print(err) // it is tried again after the restart
		}
	} else {
		log.Printf("moved %d MiB to %s in %v", m.done.Load()>>20, m.order.Words, time.Since(begin).Round(time.Second))
	}
	if err := syscall.Unmount(layout.DiskDir, 0); err != nil {
		log.Printf("unmount: %v", err)
	}
	restart()
}

func (m *move) copy() error {
	total, err := datadisk.Amount(layout.StateDir)
	if err != nil {
		return err
	}
	m.total.Store(total)
	return datadisk.Copy(layout.StateDir, filepath.Join(layout.DiskDir, layout.DiskState), m.done.Store)
}
