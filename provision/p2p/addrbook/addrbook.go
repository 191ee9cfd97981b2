// Package addrbook keeps where the boxes of a circle say that they can be reached: each
// signs a record of itself, the newest wins, and everybody passes all of them on.
package addrbook

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/wire"
)

const (
	recordPurpose = "redhen address record"
	maxRecord     = 2 << 10 // bytes, signed
	maxAddrs      = 16      // in a record
	maxBoxes      = 128     // members of a circle, and as many that left

	// MaxRelays and MaxRented bound the relays in a record, those of the circle and others.
	MaxRelays = 8
	MaxRented = 2

	// MaxBytes bounds the file, and what one box sends another.
	MaxBytes = maxBoxes*maxRecord + 1024
)

var errBadRecord = errors.New("bad address record")

// record says where a box can be reached. The box signs it; the newest wins.
type record struct {
	Box    ident.BoxID   `cbor:"1,keyasint"`
	Seq    int64         `cbor:"2,keyasint"`           // milliseconds since 1970, always growing
	Addrs  [][]byte      `cbor:"3,keyasint,omitempty"` // netip.AddrPort, for TCP and QUIC
	Relays []ident.BoxID `cbor:"4,keyasint,omitempty"` // boxes that relay to it
	Door   int64         `cbor:"5,keyasint,omitempty"` // strangers may come until; milliseconds since 1970
	Open   uint16        `cbor:"6,keyasint,omitempty"` // a bit for each of Addrs where it was reached from outside
	Wall   Wall          `cbor:"7,keyasint,omitempty"` // what keeps it from being reached; a newer one may be unknown
	Rented []recordRelay `cbor:"8,keyasint,omitempty"` // relays that belong to no circle and relay to it
}

type signedRecord struct {
	Record []byte `cbor:"1,keyasint"`
	Sig    []byte `cbor:"2,keyasint"`
}

// entry is a verified record and its signed form.
type entry struct {
	record
	addrs  []netip.AddrPort
	rented []Rented
	raw    []byte
}

// decodeRecord verifies a signed record of at most maxRecord bytes.
func decodeRecord(raw []byte) (entry, error) {
	var s signedRecord
	e := entry{raw: raw}
	if len(raw) > maxRecord {
		return e, fmt.Errorf("%w: %d bytes", errBadRecord, len(raw))
	}
	if err := wire.Unmarshal(raw, &s); err != nil {
		return e, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	if err := wire.Unmarshal(s.Record, &e.record); err != nil {
		return e, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	if len(e.Addrs) > maxAddrs || len(e.Relays) > MaxRelays || len(e.Rented) > MaxRented || e.Seq < 0 {
		return e, fmt.Errorf("%w: over the limits", errBadRecord)
	}
	if !ident.Verify(e.Box.PublicKey(), recordPurpose, s.Record, s.Sig) {
		return e, fmt.Errorf("%w: wrong signature", errBadRecord)
	}
	for _, b := range e.Addrs {
		var a netip.AddrPort
		if err := a.UnmarshalBinary(b); err != nil || !a.IsValid() || a.Port() == 0 || a.Addr().Zone() != "" {
			return e, fmt.Errorf("%w: bad address", errBadRecord)
		}
		e.addrs = append(e.addrs, a)
	}
	for _, r := range e.Relays {
		if _, err := ident.ParseBoxID(string(r)); err != nil {
			return e, fmt.Errorf("%w: bad relay", errBadRecord)
		}
	}
	for _, r := range e.Rented {
		one, err := r.decode()
		if err != nil {
			return e, fmt.Errorf("%w: bad relay", errBadRecord)
		}
		e.rented = append(e.rented, one)
	}
	return e, nil
}

// Book keeps the newest record of every box that we heard of, our own included,
// in memory and in one file.
type Book struct {
	key  ident.Key
	self ident.BoxID
	path string // "" = memory only
	log  *slog.Logger

	mu      sync.Mutex
	entries map[ident.BoxID]entry
	dirty   bool
	urgent  bool // a box is somewhere else than the file says: without it we might not find it after a power cut
}

// Open reads the book in dir. A damaged book is begun anew: its content comes
// back with the first link, and losing it must not stop a box.
func Open(dir string, key ident.Key, log *slog.Logger) (*Book, error) {
	b := &Book{key: key, self: key.BoxID(), log: log, entries: map[ident.BoxID]entry{}}
	if dir == "" {
		return b, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open address book: %w", err)
	}
	b.path = filepath.Join(dir, "addresses")
	raw, err := onefile.Read(b.path, MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = b.load(raw)
	}
	if err != nil {
		log.Warn("address book unreadable, begun anew", "err", err)
	}
	return b, nil
}

func (b *Book) load(raw []byte) error {
	var records [][]byte
	if err := wire.Unmarshal(raw, &records); err != nil {
		return err
	}
	for _, r := range records {
		if e, err := decodeRecord(r); err == nil {
			b.entries[e.Box] = e
		}
	}
	return nil
}

// Put takes a record of a box that want accepts, and reports whether it is news.
func (b *Book) Put(raw []byte, want func(ident.BoxID) bool) (ident.BoxID, bool, error) {
	e, err := decodeRecord(raw)
	if err != nil {
		return "", false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Box == b.self || !want(e.Box) || b.entries[e.Box].Seq >= e.Seq {
		return e.Box, false, nil
	}
	b.urgent = b.urgent || !slices.Equal(b.entries[e.Box].addrs, e.addrs)
	b.entries[e.Box] = e
	b.dirty = true
	return e.Box, true, nil
}

// Publish signs a new record of ourselves if it says something new.
func (b *Book) Publish(addrs []netip.AddrPort, relays []ident.BoxID, door time.Time, reach Reach) bool {
	rec := record{Box: b.self, Relays: relays[:min(len(relays), MaxRelays)], Wall: reach.Wall}
	addrs = addrs[:min(len(addrs), maxAddrs)]
	for _, r := range reach.Rented {
		raw, _ := r.At.MarshalBinary() // never fails
		rec.Rented = append(rec.Rented, recordRelay{r.Box, raw})
	}
	for i, a := range addrs {
		raw, _ := a.MarshalBinary() // never fails
		rec.Addrs = append(rec.Addrs, raw)
		if slices.Contains(reach.Open, a) {
			rec.Open |= 1 << i
		}
	}
	if time.Now().Before(door) {
		rec.Door = door.UnixMilli()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, ok := b.entries[b.self]
	if ok && slices.Equal(old.addrs, addrs) && slices.Equal(old.Relays, rec.Relays) && old.Door == rec.Door &&
		old.Open == rec.Open && old.Wall == rec.Wall && slices.Equal(old.rented, reach.Rented) {
		return false
	}
	rec.Seq = max(time.Now().UnixMilli(), old.Seq+1)
	body := wire.MustMarshal(rec)
	raw := wire.MustMarshal(signedRecord{body, b.key.Sign(recordPurpose, body)})
	b.entries[b.self] = entry{record: rec, addrs: slices.Clone(addrs), rented: reach.Rented, raw: raw}
	b.dirty = true
	return true
}

// Addrs returns the addresses that box last signed.
func (b *Book) Addrs(box ident.BoxID) []netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.entries[box].addrs)
}

// Relays returns the relays that box last signed.
func (b *Book) Relays(box ident.BoxID) []ident.BoxID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.entries[box].Relays)
}

// Own returns our own signed record, nil before there is one.
func (b *Book) Own() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[b.self].raw
}

// Rented returns the relays that belong to no circle and through which box said that it is reached.
func (b *Book) Rented(box ident.BoxID) []Rented {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.entries[box].rented)
}

// AllRented returns those of all other boxes, in a fixed order.
func (b *Book) AllRented() (out []Rented) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, box := range slices.Sorted(maps.Keys(b.entries)) {
		for _, r := range b.entries[box].rented {
			if box != b.self && !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// Newest returns the time of the newest record of another box.
func (b *Book) Newest() (last time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for box, e := range b.entries {
		if at := time.UnixMilli(e.Seq); box != b.self && at.After(last) {
			last = at
		}
	}
	return last
}

// AnyOpen reports whether any other box could be reached from outside when last heard of.
func (b *Book) AnyOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for box, e := range b.entries {
		if box != b.self && e.Wall == WallNone {
			return true
		}
	}
	return false
}

// Reach returns what box last signed about being reached from outside.
func (b *Book) Reach(box ident.BoxID) Reach {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[box]
	r := Reach{Wall: e.Wall}
	for i, a := range e.addrs {
		if e.Open&(1<<i) != 0 {
			r.Open = append(r.Open, a)
		}
	}
	return r
}

// Door reports whether box lets strangers in at the time.
func (b *Book) Door(box ident.BoxID, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.UnixMilli() < b.entries[box].Door
}

// Unsent returns the records that are newer than sent says, oldest name first, and
// the sent that holds once they have arrived.
func (b *Book) Unsent(sent map[ident.BoxID]int64) ([][]byte, map[ident.BoxID]int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := maps.Clone(sent)
	if next == nil {
		next = map[ident.BoxID]int64{}
	}
	var out [][]byte
	for _, box := range slices.Sorted(maps.Keys(b.entries)) {
		if e := b.entries[box]; e.Seq > sent[box] {
			out = append(out, e.raw)
			next[box] = e.Seq
		}
	}
	return out, next
}

// Keep forgets every box that want does not accept.
func (b *Book) Keep(want func(ident.BoxID) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for box := range b.entries {
		if box != b.self && !want(box) {
			delete(b.entries, box)
			b.dirty = true
		}
	}
}

// Due returns how long the book may stay unsaved, when it was saved last at a time:
// 0 is at once. A box that moved is written within a second of the last writing.
func (b *Book) Due(saved time.Time) time.Duration {
	const usual, hurry = time.Minute, time.Second
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.dirty:
		return usual
	case b.urgent:
		return max(0, hurry-time.Since(saved))
	}
	return max(0, usual-time.Since(saved))
}

// Save writes the book if it changed.
func (b *Book) Save() error {
	b.mu.Lock()
	dirty := b.dirty && b.path != ""
	b.dirty, b.urgent = false, false
	b.mu.Unlock()
	if !dirty {
		return nil
	}
	records, _ := b.Unsent(nil)
	if err := onefile.Replace(b.path, wire.MustMarshal(records)); err != nil {
		b.mu.Lock()
		b.dirty = true // in a minute
		b.mu.Unlock()
		return fmt.Errorf("save address book: %w", err)
	}
	return nil
}
