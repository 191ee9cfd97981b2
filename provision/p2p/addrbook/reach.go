package addrbook

import (
	"fmt"
	"net/netip"
	"strings"

	"redhen/provision/ident"
)

// Wall is what keeps a box from being reached from outside its house.
type Wall uint8

// The walls. They travel in signed records and never change.
const (
	WallUnknown  Wall = iota // nobody outside has tried yet
	WallNone                 // there is none: it was reached
	WallSilent               // the router passes nothing, and answers no requests to
	WallRefused              // the router refuses to pass a port
	WallCarrier              // the provider shares one address among many houses
	WallFiltered             // there is an address of its own, and something lets nobody in
	WallUDP                  // the network lets no UDP pass
)

// Reach is what a member says of itself in its signed record.
type Reach struct {
	Wall Wall
	Open []netip.AddrPort // where it was reached from outside

	Rented []Rented // at most MaxRented; of this box only
}

// Rented is a relay that belongs to no circle, and where it is.
type Rented struct {
	Box ident.BoxID
	At  netip.AddrPort
}

// String returns it as ParseRented reads it.
func (r Rented) String() string { return string(r.Box) + "@" + r.At.String() }

// ParseRented reads "NAME@1.2.3.4:4717", as redhen relay prints it.
func ParseRented(s string) (Rented, error) {
	name, at, _ := strings.Cut(s, "@")
	box, err := ident.ParseBoxID(name)
	if err != nil {
		return Rented{}, fmt.Errorf("relay %q: %w", s, err)
	}
	a, err := netip.ParseAddrPort(at)
	if err != nil || a.Port() == 0 {
		return Rented{}, fmt.Errorf("relay %q: want NAME@ADDRESS:PORT", s)
	}
	return Rented{box, a}, nil
}

// recordRelay is a Rented in a record.
type recordRelay struct {
	Box ident.BoxID `cbor:"1,keyasint"`
	At  []byte      `cbor:"2,keyasint"`
}

func (r recordRelay) decode() (out Rented, err error) {
	if _, err := ident.ParseBoxID(string(r.Box)); err != nil {
		return out, err
	}
	if err := out.At.UnmarshalBinary(r.At); err != nil || !out.At.IsValid() || out.At.Port() == 0 || out.At.Addr().Zone() != "" {
		return out, fmt.Errorf("bad address")
	}
	out.Box = r.Box
	return out, nil
}
