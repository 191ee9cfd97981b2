// Package wifi keeps a box on one of the Wi-Fi networks that it knows: it looks for
// them, joins the best, and comes back when the network was away.
//
// It joins open networks, and WPA2 networks by radios whose chip does the handshake
// itself (most Raspberry Pis). WPA3, company networks with a user name, and radios that
// leave the handshake to the host need wpa_supplicant, which is not carried yet; nor is a
// set-up network of the box's own (hostapd). Such networks are told as what they are.
package wifi

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
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
	SSID   string // empty: nothing
	Signal int    // as in Seen
}

// Radio is a Wi-Fi interface; what it cannot do it refuses with ErrCannot.
type Radio interface {
	// Scan looks around; it may take some seconds.
	Scan(ctx context.Context) ([]Seen, error)
	// Join begins to join a network, open when key is nil. Link tells when it has.
	Join(ssid string, key []byte) error
	// Leave ends what Join began.
	Leave() error
	Link() (Link, error)
	SetCountry(code string) error
}

// ErrCannot says that the radio leaves the handshake to programs that are not here.
var ErrCannot = errors.New("the radio needs help that is not here")

// Trouble says why a known network is not joined.
type Trouble uint8

// The troubles.
const (
	None    Trouble = iota
	Absent          // it is not in reach
	Refused         // it does not let the box in: most often the password is wrong
	TooNew          // WPA3 only, or a company's
	Unable          // the radio cannot do that by itself
)

// State is how it stands.
type State struct {
	Link    Link
	Trouble Trouble // while Link is empty: with Network
	Network string  // the one that was tried last
}

// Timing of a Keeper.
const (
	joinPatience = 20 * time.Second
	poll         = 500 * time.Millisecond
	lookEvery    = 5 * time.Second  // at a link that stands
	scanEvery    = 15 * time.Second // without one
	firstWait    = 30 * time.Second // before a network that refused is tried again
	longestWait  = 5 * time.Minute
)

// Config says what a Keeper works with. Radio and Networks are needed.
type Config struct {
	Radio    Radio
	Networks func() []Network // best first; asked before each look around
	Country  func() string    // where the radio is, when a network does not say; nil: not known
	Logger   *slog.Logger     // nil: none
}

// Keeper keeps a radio on a known network. State may be called by anybody.
type Keeper struct {
	cfg     Config
	country string              // set last
	waits   map[string]patience // of networks that refused; Run alone

	mu    sync.Mutex // guards state
	state State
}

// patience is until when a network is left alone, and how long the next time.
type patience struct {
	until time.Time
	next  time.Duration
	why   Trouble
}

// New returns a Keeper.
func New(cfg Config) *Keeper {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Country == nil {
		cfg.Country = func() string { return "" }
	}
	return &Keeper{cfg: cfg, waits: map[string]patience{}}
}

// State returns how it stands.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// set notes a state, and logs a change.
func (k *Keeper) set(s State) {
	k.mu.Lock()
	was := k.state
	k.state = s
	k.mu.Unlock()
	if was.Link.SSID != s.Link.SSID || was.Trouble != s.Trouble || was.Network != s.Network {
		k.cfg.Logger.Info("wifi", "joined", s.Link.SSID, "network", s.Network, "trouble", int(s.Trouble))
	}
}

// Run keeps the radio on a network until ctx ends; it returns nil. It leaves the link
// as it is then: the box may only be restarting its program.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		wait := k.step(ctx)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// step looks at the link, and joins a network without one. It returns when to look again.
func (k *Keeper) step(ctx context.Context) time.Duration {
	networks := k.cfg.Networks()
	link, err := k.cfg.Radio.Link()
	if err != nil {
		k.cfg.Logger.Warn("wifi link", "err", err)
		return scanEvery
	}
	if link.SSID != "" && known(networks, link.SSID) {
		k.set(State{Link: link, Network: link.SSID})
		return lookEvery
	}
	if len(networks) == 0 {
		k.set(State{})
		return scanEvery
	}
	k.setCountry(networks)
	seen, err := k.cfg.Radio.Scan(ctx)
	if err != nil {
		k.cfg.Logger.Warn("wifi scan", "err", err) // hidden networks are tried all the same
	}
	trouble := State{Trouble: Absent, Network: networks[0].SSID}
	for _, n := range candidates(networks, seen) {
		if ctx.Err() != nil {
			return scanEvery
		}
		if w := k.waits[n.SSID]; time.Now().Before(w.until) {
			trouble = State{Trouble: w.why, Network: n.SSID}
			continue
		}
		what := k.join(ctx, n)
		if what == None {
			return lookEvery
		}
		trouble = State{Trouble: what, Network: n.SSID}
	}
	k.set(trouble)
	return scanEvery
}

// setCountry tells the radio where it is, before it looks at channels that are not
// allowed everywhere.
func (k *Keeper) setCountry(networks []Network) {
	country := k.cfg.Country()
	for _, n := range networks {
		if country == "" {
			country = n.Country
		}
	}
	if country == "" || country == k.country {
		return
	}
	if err := k.cfg.Radio.SetCountry(country); err != nil {
		k.cfg.Logger.Warn("wifi country", "country", country, "err", err)
		return
	}
	k.country = country
}

func known(networks []Network, ssid string) bool {
	return slices.ContainsFunc(networks, func(n Network) bool { return n.SSID == ssid })
}

// candidate is a known network that may be tried.
type candidate struct {
	Network
	lock Lock
	seen bool
}

// candidates are the known networks that are in reach, in the order of the list, then
// the hidden ones, which may be. Of several access points of a network the least locked
// counts, since the radio may choose any.
func candidates(networks []Network, seen []Seen) (list []candidate) {
	var hidden []candidate
	for _, n := range networks {
		c := candidate{Network: n, lock: Company}
		for _, s := range seen {
			if s.SSID == n.SSID {
				c.seen, c.lock = true, min(c.lock, s.Lock)
			}
		}
		switch {
		case c.seen:
			list = append(list, c)
		case n.Hidden:
			c.lock = WPA2
			if n.Open() {
				c.lock = Unlocked
			}
			hidden = append(hidden, c)
		}
	}
	return append(list, hidden...)
}

// join tries one network to the end.
func (k *Keeper) join(ctx context.Context, c candidate) Trouble {
	switch {
	case c.lock == WPA3 || c.lock == Company:
		return TooNew
	case c.lock == WPA2 && c.Open():
		return k.refused(c) // it has a password that we do not know
	case c.lock == Unlocked && !c.Open():
		return k.refused(c) // somebody else calls theirs so: never without the key
	}
	key, err := c.Key()
	if err != nil {
		return k.refused(c)
	}
	err = k.cfg.Radio.Join(c.SSID, key)
	switch {
	case errors.Is(err, ErrCannot):
		return Unable
	case err != nil:
		k.cfg.Logger.Warn("wifi join", "err", err)
		return k.refused(c)
	}
	if k.await(ctx, c.SSID) {
		delete(k.waits, c.SSID)
		return None
	}
	if err := k.cfg.Radio.Leave(); err != nil {
		k.cfg.Logger.Debug("wifi leave", "err", err) // there was nothing to leave
	}
	if ctx.Err() != nil {
		return Absent
	}
	return k.refused(c)
}

// await waits until the link stands, twice in a row: a wrong key gives one that falls
// at once.
func (k *Keeper) await(ctx context.Context, ssid string) bool {
	good := 0
	for end := time.Now().Add(joinPatience); time.Now().Before(end); {
		t := time.NewTimer(poll)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
		link, err := k.cfg.Radio.Link()
		if err != nil || link.SSID != ssid {
			good = 0
			continue
		}
		if good++; good == 3 {
			k.set(State{Link: link, Network: ssid})
			return true
		}
	}
	return false
}

// refused has a network wait longer each time.
func (k *Keeper) refused(c candidate) Trouble {
	w := k.waits[c.SSID]
	w.next = min(max(2*w.next, firstWait), longestWait)
	w.until = time.Now().Add(w.next)
	w.why = Refused
	if !c.seen {
		w.why = Absent // hidden: it cannot be told from one that is away
	}
	k.waits[c.SSID] = w
	return w.why
}

// Sentence says to a person how it stands; empty while nothing is wrong.
func (s State) Sentence() string {
	switch s.Trouble {
	case Absent:
		return fmt.Sprintf("The Wi-Fi “%s” is not in reach of the box. Nothing is lost, and the box goes on looking for it. Move the box or the router, or use a network cable.", s.Network)
	case Refused:
		return fmt.Sprintf("The Wi-Fi “%s” does not let the box in: most likely its password has changed. Nothing is lost, and the box tries again. Put a file redhen-wifi.txt with the right one onto its card, or use a network cable.", s.Network)
	case TooNew:
		return fmt.Sprintf("The Wi-Fi “%s” is locked in a way that this box does not know yet (WPA3 alone, or with a user name). Nothing is lost. Let the router offer WPA2, too, or use a network cable.", s.Network)
	case Unable:
		return fmt.Sprintf("The radio of this box cannot join the Wi-Fi “%s”, which has a password, by itself. Nothing is lost. Use a network cable.", s.Network)
	}
	return ""
}
