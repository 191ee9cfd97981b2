package directory

import (
	"errors"
	"slices"
	"strings"
)

// What the circle keeps sealed: settings of its public name, certificates and their
// keys. The directory sees names, sizes and times, never what is in them; who can
// open them is appliance/vault's matter.
const (
	MaxSealed      = 1024     // values kept
	MaxSealedBytes = 4 << 20  // of all values
	MaxSealedValue = 64 << 10 // of one
	MaxLeases      = 256      // held at once
	MaxLease       = 10 * 60 * 1000

	maxSealedName = 255
)

// Sealed is one value.
type Sealed struct {
	Value []byte `cbor:"1,keyasint,omitempty"`
	// Time is when it was put, Unix milliseconds by the putter's clock.
	Time int64 `cbor:"2,keyasint,omitempty"`
	// Version is the log index of the last change: the If of the next one.
	Version uint64 `cbor:"3,keyasint,omitempty"`
}

// Lease is a lock that ends by itself.
type Lease struct {
	Holder [16]byte `cbor:"1,keyasint"`
	Until  int64    `cbor:"2,keyasint"` // Unix milliseconds
}

// PutSealed puts a value under a name: parts of a–z, 0–9 and some signs, with
// slashes between them. With Only, the version there must be If; zero: there is none.
type PutSealed struct {
	Name  string `cbor:"1,keyasint"`
	Value []byte `cbor:"2,keyasint"`
	Only  bool   `cbor:"3,keyasint,omitempty"`
	If    uint64 `cbor:"4,keyasint,omitempty"`
}

// DropSealed removes the value of that name, and all below it. It is no error when
// there is none.
type DropSealed struct {
	Name string `cbor:"1,keyasint"`
}

// TakeLease takes a lease, or makes one's own longer, when nobody else holds it at
// the time of the command. For is in milliseconds; zero gives it back. The clocks of
// the boxes decide: one that is ahead takes a lease earlier by so much.
type TakeLease struct {
	Name   string   `cbor:"1,keyasint"`
	Holder [16]byte `cbor:"2,keyasint"`
	For    int64    `cbor:"3,keyasint,omitempty"`
}

// Leased: another holds the lease.
const Leased Code = "leased"

// sealedTally counts what the table holds.
type sealedTally struct {
	Values int   `cbor:"1,keyasint,omitempty"`
	Bytes  int64 `cbor:"2,keyasint,omitempty"`
	Leases int   `cbor:"3,keyasint,omitempty"`
}

const (
	tableSealed = 0x58 // name → Sealed
	tableLeases = 0x59 // name → Lease
	tableTally  = 0x5a // sealedTally
)

func sealedKey(name string) []byte { return textKey(tableSealed, name) }
func leaseKey(name string) []byte  { return textKey(tableLeases, name) }

var errSealedName = errors.New("a name of a sealed value has 1 to 255 of a–z, 0–9, dot, dash, underscore, @ and slash")

// CheckSealedName wants parts that are not empty, "." or "..", with slashes between them.
func CheckSealedName(s string) error {
	if s == "" || len(s) > maxSealedName || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@/") != "" {
		return errSealedName
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." {
			return errSealedName
		}
	}
	return nil
}

func (p *PutSealed) check() error {
	if len(p.Value) > MaxSealedValue {
		return errSize
	}
	return CheckSealedName(p.Name)
}

func (d *DropSealed) check() error { return CheckSealedName(d.Name) }

func (l *TakeLease) check() error {
	if l.For < 0 || l.For > MaxLease {
		return errSize
	}
	return CheckSealedName(l.Name)
}

// Sealed returns the value of that name.
func (v View) Sealed(name string) (Sealed, bool) {
	var s Sealed
	ok := v.get(sealedKey(name), &s)
	return s, ok
}

// SealedNames returns the names below a prefix of whole parts, all for "", in order.
func (v View) SealedNames(below string) (names []string) {
	prefix := []byte{tableSealed}
	if below != "" {
		prefix = sealedKey(below + "/")
	}
	for key := range v.r.Scan(prefix, nil) {
		names = append(names, string(key[1:]))
	}
	return names
}

// Lease returns who holds a lease, or held it last.
func (v View) Lease(name string) (Lease, bool) {
	var l Lease
	ok := v.get(leaseKey(name), &l)
	return l, ok
}

func (t *txn) tally() (n sealedTally) {
	t.get([]byte{tableTally}, &n)
	return n
}

func (t *txn) putTally(n sealedTally) { t.put([]byte{tableTally}, n) }

func (p *PutSealed) apply(t *txn) Code {
	old, known := t.Sealed(p.Name)
	if p.Only && old.Version != p.If {
		return Changed
	}
	n := t.tally()
	n.Bytes += int64(len(p.Value) - len(old.Value))
	if !known {
		n.Values++
	}
	if n.Values > MaxSealed || n.Bytes > MaxSealedBytes {
		return Full
	}
	t.putTally(n)
	t.put(sealedKey(p.Name), Sealed{Value: p.Value, Time: t.cmd.Time, Version: t.index})
	return Done
}

func (d *DropSealed) apply(t *txn) Code {
	n := t.tally()
	for _, name := range slices.Concat([]string{d.Name}, t.SealedNames(d.Name)) {
		old, ok := t.Sealed(name)
		if !ok {
			continue
		}
		n.Values--
		n.Bytes -= int64(len(old.Value))
		t.delete(sealedKey(name))
	}
	t.putTally(n)
	return Done
}

func (l *TakeLease) apply(t *txn) Code {
	old, known := t.Lease(l.Name)
	if known && old.Holder != l.Holder && old.Until > t.cmd.Time {
		return Leased
	}
	n := t.tally()
	switch {
	case l.For == 0 && !known:
		return Missing
	case l.For == 0:
		n.Leases--
		t.delete(leaseKey(l.Name))
	default:
		if !known {
			n.Leases++
		}
		if n.Leases > MaxLeases {
			if n.Leases -= t.dropEnded(); n.Leases > MaxLeases {
				return Full
			}
		}
		t.put(leaseKey(l.Name), Lease{Holder: l.Holder, Until: t.cmd.Time + l.For})
	}
	t.putTally(n)
	return Done
}

// dropEnded removes the leases that nobody holds any more, and returns how many.
func (t *txn) dropEnded() (n int) {
	for name, l := range scan[Lease](t.View, tableLeases) {
		if l.Until <= t.cmd.Time {
			t.delete(leaseKey(string(name)))
			n++
		}
	}
	return n
}
