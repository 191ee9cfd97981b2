package ticket

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
	"unicode"

	"redhen/provision/ident"
)

// A ticket in bytes: version, key of the inviter (32), secret (16), addresses,
// relay, CRC-32C of all before it (4, big-endian). An address is a mark, the IP
// and the port; the relay is a mark, its key, the IP and the port. Later versions
// keep the first byte and the CRC.
const (
	markIPv4  = 0x04
	markIPv6  = 0x06
	markRelay = 0x10 // or-ed with one of the above
	headSize  = 1 + ed25519.PublicKeySize + len(Secret{})
	crcSize   = 4
	minSize   = headSize + crcSize
	maxInput  = 4096 // bytes of text that Parse looks at
)

// encoding has no padding: '=' is not in the alphabet of compact QR codes.
func encoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// addrSize is what an address takes: mark, IP, port.
func addrSize(a netip.AddrPort) int { return 1 + a.Addr().BitLen()/8 + 2 }

func (t Ticket) size() int {
	n := minSize
	for _, a := range t.Addrs {
		n += addrSize(a)
	}
	if t.Relay != nil {
		n += addrSize(t.Relay.Addr) + ed25519.PublicKeySize
	}
	return n
}

// Text returns the ticket as one word of capital letters and digits, at most 200.
func (t Ticket) Text() string { return encoding().EncodeToString(t.encode()) }

func (t Ticket) encode() []byte {
	b := append([]byte{Version}, t.Inviter.PublicKey()...)
	b = append(b, t.Secret[:]...)
	for _, a := range t.Addrs {
		b = append(b, mark(a))
		b = appendAddr(b, a)
	}
	if t.Relay != nil {
		b = append(b, markRelay|mark(t.Relay.Addr))
		b = append(b, t.Relay.Box.PublicKey()...)
		b = appendAddr(b, t.Relay.Addr)
	}
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

func mark(a netip.AddrPort) byte {
	if a.Addr().Is4() {
		return markIPv4
	}
	return markIPv6
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(append(b, a.Addr().AsSlice()...), a.Port())
}

// Parse reads a ticket from what a person typed, pasted or scanned: Text or
// Link, in any case, with spaces, line breaks and hyphens anywhere. Where the
// alphabet has no 0, 1 and 8, it reads O, I and B.
func Parse(s string) (Ticket, error) {
	if len(s) > maxInput {
		return Ticket{}, ErrNoTicket
	}
	word := tidy(s)
	b, err := encoding().DecodeString(word)
	if err != nil || len(b) < minSize || encoding().EncodeToString(b) != word {
		return Ticket{}, notComplete(word)
	}
	body, sum := b[:len(b)-crcSize], binary.BigEndian.Uint32(b[len(b)-crcSize:])
	switch {
	case checksum(body) != sum:
		return Ticket{}, ErrIncomplete
	case b[0] != Version:
		return Ticket{}, ErrVersion
	case len(b) > MaxSize:
		return Ticket{}, ErrNoTicket
	}
	return decode(b)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// notComplete tells the start of a ticket from an ordinary word.
func notComplete(word string) error {
	// The first character holds the high five bits of the version, the second its low three.
	if len(word) >= 8 && word[0] == alphabet[Version>>3] && strings.IndexByte(alphabet, word[1])>>2 == Version&7 {
		return ErrIncomplete
	}
	return ErrNoTicket
}

func tidy(s string) string {
	if i := strings.LastIndexByte(s, '#'); i >= 0 {
		s = s[i+1:]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Pd, r):
			return -1
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

// decode reads what encode wrote, and nothing that New would not have made.
func decode(b []byte) (Ticket, error) {
	r := reader{rest: b[1 : len(b)-crcSize]}
	inviter := ident.BoxIDOf(r.take(ed25519.PublicKeySize))
	secret := Secret(r.take(len(Secret{})))
	var addrs []netip.AddrPort
	var relay *Relay
	for len(r.rest) > 0 && relay == nil {
		switch m := r.take(1)[0]; m {
		case markIPv4, markIPv6:
			addrs = append(addrs, r.addr(m))
		case markRelay | markIPv4, markRelay | markIPv6:
			relay = &Relay{Box: ident.BoxIDOf(r.take(ed25519.PublicKeySize)), Addr: r.addr(m &^ markRelay)}
		default:
			return Ticket{}, fmt.Errorf("%w: mark %#x", ErrNoTicket, m)
		}
	}
	t, err := New(inviter, secret, addrs, relay)
	if err != nil || r.short || !bytes.Equal(t.encode(), b) {
		return Ticket{}, ErrNoTicket
	}
	return t, nil
}

// reader cuts a ticket into pieces. Past the end it gives zeros and remembers.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.short = nil, true
		return make([]byte, n)
	}
	piece := r.rest[:n]
	r.rest = r.rest[n:]
	return piece
}

func (r *reader) addr(mark byte) netip.AddrPort {
	n := 4
	if mark == markIPv6 {
		n = 16
	}
	ip, _ := netip.AddrFromSlice(r.take(n)) // 4 or 16 bytes are an address
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(r.take(2)))
}
