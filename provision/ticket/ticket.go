// Package ticket is an invite as a short line of text: who invites, a one-time
// secret, and where to knock. It is small enough for a QR code on a screen and
// for a patient person at a keyboard. It is pure.
package ticket

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"redhen/provision/ident"
)

const (
	// Version is the format that this package writes, and the only one it reads.
	Version = 1
	// MaxSize is the largest ticket in bytes, before it is text (DESIGN §8).
	MaxSize = 125
	// MaxAddrs is the number of addresses that a ticket carries.
	MaxAddrs = 3
	// LinkPrefix is what stands before the text in a link. The ticket is in the
	// fragment: no browser sends it anywhere.
	LinkPrefix = "http://redhen.local/p#"
)

// What New and Parse refuse.
var (
	ErrInvalid    = errors.New("ticket: not valid")              // New was given what no ticket can carry
	ErrNoTicket   = errors.New("ticket: this is not a ticket")   // nothing like one
	ErrIncomplete = errors.New("ticket: the line is incomplete") // mistyped, or a part is missing
	ErrVersion    = errors.New("ticket: made by a newer redhen")
)

// Secret is the one-time secret. Whoever knows it may ask to join.
type Secret [16]byte

// NewSecret draws a secret.
func NewSecret() (s Secret) {
	rand.Read(s[:]) // never fails (crypto/rand, Go 1.24)
	return s
}

// Format prints no secret, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "secret") }

// Relay is a member through which the inviter can be reached.
type Relay struct {
	Box  ident.BoxID
	Addr netip.AddrPort
}

// Ticket is an invite. Make it with New or Parse: only these give one that has a
// text. It does not print itself: logs get its ID, people get Text and Link.
type Ticket struct {
	Inviter ident.BoxID
	Secret  Secret
	Addrs   []netip.AddrPort // of the inviter, best first; TCP and QUIC share the port
	Relay   *Relay           // nil: none
}

// New makes a ticket. Addresses that nobody could dial, that come twice, that
// are too many or do not fit are left out, the last ones first; Addrs of the
// result tells which stayed. The relay always fits and is never left out.
func New(inviter ident.BoxID, secret Secret, addrs []netip.AddrPort, relay *Relay) (Ticket, error) {
	t := Ticket{Inviter: inviter, Secret: secret}
	switch {
	case inviter.PublicKey() == nil:
		return Ticket{}, fmt.Errorf("%w: inviter: %w", ErrInvalid, ident.ErrBadBoxID)
	case secret == Secret{}:
		return Ticket{}, fmt.Errorf("%w: no secret", ErrInvalid)
	}
	if relay != nil {
		r := Relay{Box: relay.Box, Addr: plain(relay.Addr)}
		if r.Box.PublicKey() == nil || r.Box == inviter || !dialable(r.Addr) {
			return Ticket{}, fmt.Errorf("%w: relay", ErrInvalid)
		}
		t.Relay = &r
	}
	for _, a := range addrs {
		a = plain(a)
		if dialable(a) && !slices.Contains(t.Addrs, a) && len(t.Addrs) < MaxAddrs && t.size()+addrSize(a) <= MaxSize {
			t.Addrs = append(t.Addrs, a)
		}
	}
	if len(t.Addrs) == 0 && t.Relay == nil {
		return Ticket{}, fmt.Errorf("%w: no address", ErrInvalid)
	}
	return t, nil
}

// plain strips what a ticket does not carry: zones, and IPv4 in the clothes of IPv6.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// dialable says whether somebody else could dial a. Link-local IPv6 needs a zone,
// which means nothing elsewhere. Loopback stays: several boxes may run on one computer.
func dialable(a netip.AddrPort) bool {
	ip := a.Addr()
	return ip.IsValid() && a.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() &&
		!(ip.Is6() && ip.IsLinkLocalUnicast()) && ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// ID names the ticket in lists and logs: 32 hex digits, from which the secret
// cannot be found. It does not depend on the addresses.
func (t Ticket) ID() string {
	h := sha256.New()
	h.Write([]byte("redhen ticket\x00"))
	h.Write(t.Inviter.PublicKey())
	h.Write(t.Secret[:])
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Link returns the ticket as the link that a phone opens at the friend's house.
func (t Ticket) Link() string { return LinkPrefix + t.Text() }

// Format prints the ID, whatever the verb.
func (t Ticket) Format(f fmt.State, _ rune) { fmt.Fprint(f, "ticket "+t.ID()) }

// LogValue gives logs the ID.
func (t Ticket) LogValue() slog.Value { return slog.StringValue(t.ID()) }
