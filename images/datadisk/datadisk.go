// Package datadisk has a box keep its data on a disk that lasts longer than its card:
// it judges and prepares the disk, moves there what the card holds, and finds the disk
// again at every start. A disk is erased only after its name was typed.
package datadisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"redhen/board/disk"
	"redhen/images/flash"
	"redhen/images/layout"
	"redhen/provision/onefile"
)

// Order says, on the card, which disk has the data of the box, or is to have it after
// the next start.
type Order struct {
	Part  string `json:"part"`  // GUID of the partition
	Words string `json:"words"` // the disk, for people
	// Moved says that the data is on the disk, and nothing of it on the card any more counts.
	Moved bool `json:"moved,omitempty"`
	// Failed says why the data did not move: it is on the card as before.
	Failed string `json:"failed,omitempty"`
}

const (
	orderName = "data-disk.json"
	maxOrder  = 4 << 10 // bytes
)

// Read returns the order in the data folder of a card, false when there is none. With an
// error nobody knows where the data is.
func Read(dir string) (o Order, ok bool, err error) {
	b, err := onefile.Read(filepath.Join(dir, orderName), maxOrder)
	if errors.Is(err, fs.ErrNotExist) {
		return o, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err == nil && o.Part == "" {
		err = errors.New("no disk is named")
	}
	if err != nil {
		return o, false, fmt.Errorf("where the data is: %w", err)
	}
	return o, true, nil
}

// Write leaves the order in the data folder of a card.
func (o Order) Write(dir string) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return onefile.Replace(filepath.Join(dir, orderName), append(b, '\n'))
}

// Withdraw takes an order back. The data stays on the card.
func Withdraw(dir string) error { return os.Remove(filepath.Join(dir, orderName)) }

// Target is a disk that could keep the data of a box.
type Target struct {
	Device string // "/dev/sda"
	Name   string // is typed to have it erased
	Words  string // for people: "USB disk Extreme 55AE, 931.5 GiB"
	Size   int64  // bytes
}

// Box is a running box that keeps its data on its card, or on a disk already.
type Box struct {
	Disks fs.FS  // rooted at /: tells of disks and mounts
	Card  string // data folder of the card
	State string // state directory, on the card or the disk

	busy sync.Mutex // held while a disk is prepared
}

// Targets are the disks that could take the data, best first.
func (b *Box) Targets() (all []Target) {
	for _, d := range disk.List(b.Disks) {
		if t, err := b.judge("/dev/"+d.Name, d); err == nil {
			all = append(all, t)
		}
	}
	return all
}

// Choose erases a disk and orders that the data goes there at the next start, when
// typed is the disk's name. That takes minutes, in which the box serves. An error is a
// *flash.Refusal, or the disk does not work; what the box keeps is where it was.
func (b *Box) Choose(ctx context.Context, device, typed string) (Target, error) {
	if !b.busy.TryLock() {
		return Target{}, refuse(Busy, nil, "A disk is being made ready already. Nothing else was changed. Wait until that is done.")
	}
	defer b.busy.Unlock()
	t, err := b.look(device)
	if err != nil {
		return t, err
	}
	if !t.Called(typed) {
		return t, refuse(Misnamed, []any{"name", t.Name, "typed", typed}, "The name of that disk is “%s”, and “%s” was typed. Nothing was changed. Type its name to have everything on it erased.", t.Name, typed)
	}
	part, err := Prepare(t.Device)
	if err != nil {
		return t, fmt.Errorf("make disk ready: %w", err)
	}
	if err := ctx.Err(); err != nil { // nobody waits for it any more
		return t, err
	}
	return t, Order{Part: part, Words: t.Words}.Write(b.Card)
}

// Called reports whether somebody typed the name of the disk.
func (t Target) Called(typed string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(typed), " "), strings.Join(strings.Fields(t.Name), " "))
}

func (b *Box) look(device string) (Target, error) {
	if o, ok, err := Read(b.Card); err != nil || ok {
		return Target{}, refuse(Settled, []any{"disk", o.Words}, "This box keeps what it has on %s already, or is about to. Nothing was changed. To change that disk for another one, let a new box take the place of this one.", orElse(o.Words, "a disk"))
	}
	for _, d := range disk.List(b.Disks) {
		if "/dev/"+d.Name == device {
			return b.judge(device, d)
		}
	}
	return Target{}, refuse(Missing, []any{"device", device}, "There is no disk %s. Nothing was changed. Is it plugged in?", device)
}

// judge refuses a disk that is no better than the card, or too small for what is kept.
func (b *Box) judge(device string, d disk.Disk) (Target, error) {
	words := flash.Describe(d)
	if where, ok := flash.InUse(b.Disks, d); ok {
		return Target{}, refuse(InUse, []any{"disk", words, "where", where}, "%s (%s) is in use, at %s. Nothing was changed. Name another disk.", device, words, where)
	}
	kept, err := disk.Use(b.State)
	if err != nil {
		return Target{}, refuse(Uncounted, []any{"why", err}, "Nobody can tell how much this box keeps (%v). Nothing was changed. Look at the box's faults first.", err)
	}
	switch {
	case d.Kind == disk.Card || d.Kind == disk.Stick || d.Kind == disk.EMMC || d.Kind == disk.Other:
		return Target{}, refuse(Short, []any{"disk", words}, "%s (%s) does not last longer than the card. Nothing was changed. Take an SSD or another real disk.", device, words)
	case d.ReadOnly || d.Life.Expired:
		return Target{}, refuse(Worn, []any{"disk", words}, "%s (%s) is worn out or locked. Nothing was changed. Take another disk.", device, words)
	case d.Block != layout.Sector:
		return Target{}, refuse(Odd, []any{"disk", words, "n", d.Block}, "%s (%s) counts in pieces of %d bytes, which redhen cannot use yet. Nothing was changed. Take another disk.", device, words, d.Block)
	case d.Size < max(minSize, kept.Used*5/4):
		return Target{}, refuse(Small, []any{"disk", words}, "%s (%s) is too small for what this box keeps. Nothing was changed. Take a larger disk.", device, words)
	}
	return Target{Device: device, Name: orElse(d.Model, d.Name), Words: words, Size: d.Size}, nil
}

// minSize is the least of a disk, in bytes: a smaller one is no gain.
const minSize = 1 << 30

// Code says why a disk is not taken: Refusal.Code of what Choose returns.
type Code string

// Why a disk is not taken.
const (
	Busy      Code = "busy"      // another is being made ready
	Misnamed  Code = "misnamed"  // name, typed
	Settled   Code = "settled"   // the box keeps what it has on disk
	Missing   Code = "missing"   // device
	InUse     Code = "in-use"    // disk, where
	Uncounted Code = "uncounted" // nobody knows how much the box keeps: why
	Short     Code = "short"     // disk does not last longer than a card
	Worn      Code = "worn"      // disk is worn out or locked
	Odd       Code = "odd"       // disk counts in pieces of n bytes
	Small     Code = "small"     // disk
	OnTrial   Code = "on-trial"  // the release that runs has yet to prove itself
)

func refuse(code Code, about []any, format string, args ...any) error {
	return &flash.Refusal{Code: string(code), About: about, Sentence: fmt.Sprintf(format, args...)}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
