// Package wifi keeps a box on one of the Wi-Fi networks that it knows: it looks for
// them, joins the best, and comes back when the network was away.
//
// It joins open networks, and WPA2 networks by radios whose chip does the handshake
// itself (most Raspberry Pis), by the kernel alone. WPA3, hidden networks, and radios that
// leave the handshake to the host are for Debian's wpa_supplicant, where that is there.
// While there is neither a known network nor a cable, it has a network of the box's own
// opened, on which people say what to join. Networks with a user name are told as such.
package wifi

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/hex"
	"errors"
)

// Network is one that the box may join. Without a key it is open.
type Network struct {
	SSID       string // 1–32 bytes, of any kind
	Passphrase string // 8–63 bytes; or
	PMK        string // 64 hex digits: the key made of passphrase and SSID, used as it is
	Hidden     bool   // does not announce itself
	Country    string // two capital letters; empty: not known
}

// Open reports whether the network has no key.
func (n Network) Open() bool { return n.Passphrase == "" && n.PMK == "" }

// Key returns the pairwise master key (IEEE 802.11i, H.4), nil for an open network.
func (n Network) Key() ([]byte, error) {
	switch {
	case n.PMK != "":
		key, err := hex.DecodeString(n.PMK)
		if err != nil || len(key) != 32 {
			return nil, errors.New("wifi: a ready-made key is not 64 hex digits")
		}
		return key, nil
	case n.Passphrase != "":
		return pbkdf2.Key(sha1.New, n.Passphrase, []byte(n.SSID), 4096, 32)
	}
	return nil, nil
}

// Lock is how a network that is seen is locked.
type Lock uint8

// Kinds of locks.
const (
	Unlocked Lock = iota
	WPA2          // with a password; WPA2 and WPA3 side by side count as WPA2
	WPA3          // with a password, by a handshake that only the newest radios do
	Company       // with a user name, too
)

// Seen is a network in reach.
type Seen struct {
	SSID   string
	Lock   Lock
	Signal int // hundredths of dBm: -4000 is near, -8500 far
}

// Link is what the radio is joined to.
type Link struct {
	SSID    string // empty: nothing
	Signal  int    // as in Seen
	Refused bool   // what Join began has come to nothing: most often the key is wrong
}

// Radio is a Wi-Fi interface; what it cannot do it refuses with ErrCannot.
type Radio interface {
	// Scan looks around; it may take some seconds.
	Scan(ctx context.Context) ([]Seen, error)
	// Join begins to join a network that is locked so. Link tells when it has.
	Join(n Network, lock Lock) error
	// Leave ends what Join began.
	Leave() error
	Link() (Link, error)
	SetCountry(code string) error
}

// ErrCannot says that the radio leaves the handshake to programs that are not here.
var ErrCannot = errors.New("the radio needs help that is not here")

// Trouble says why a known network is not joined, for those who have sentences for it.
type Trouble string

// The troubles.
const (
	None       Trouble = ""
	Absent     Trouble = "absent"      // it is not in reach
	Refused    Trouble = "refused"     // it does not let the box in: most often the password is wrong
	TooNew     Trouble = "too-new"     // WPA3 only, and nothing here can do that
	ForPeople  Trouble = "for-people"  // it asks for a user name
	NoPassword Trouble = "no-password" // WPA3 only, and of the password only the key is known that WPA2 makes of it
	Unable     Trouble = "unable"      // the radio cannot do that by itself
)

// State is how it stands.
type State struct {
	Link    Link
	Trouble Trouble // while Link is empty: with Network
	Network string  // the one that was tried last
	Seen    []Seen  // in reach, the nearest first, each once
	Setup   string  // name of the box's own network, while that is open
}

// Hotspot is the network that a box opens itself.
type Hotspot interface {
	Name() string
	// Run has it open until ctx ends.
	Run(ctx context.Context) error
	// Guests is how many are on it.
	Guests() int
}
