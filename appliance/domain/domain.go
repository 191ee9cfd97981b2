// Package domain keeps the public name of a circle pointing at its houses. One box at a
// time, the leader of the circle's own records, knocks at the addresses where houses
// may be reached from outside, and writes those that answer into the name server: for
// the name itself, and for one name per house. Any box that is left can go on, since
// the settings lie sealed with all of them.
package domain

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/addrbook"
	"redhen/provision/p2p/localname"
	"redhen/provision/roster"
)

// Config is what a Domain stands on. The functions of the first group are needed.
type Config struct {
	Self   ident.BoxID
	Vault  Vault
	Roster func() *roster.State
	// Leads tells whether this box leads the circle's own records; some: somebody does.
	Leads func(ctx context.Context) (leads, some bool)
	// Links is how this box reaches the others.
	Links func() []p2p.Link
	// AddrsOf are the addresses where a box may be, from anywhere or not.
	AddrsOf func(ident.BoxID) []netip.AddrPort
	// Open opens a stream to another box, to have it knock.
	Open func(ctx context.Context, to ident.BoxID, protocol string) (p2p.Stream, error)
	// Knock finds out whether a box's public door answers at an address.
	Knock func(ctx context.Context, at netip.AddrPort, box ident.BoxID) error

	// Relays are rented relays that bring visitors; nil: none.
	Relays func() []addrbook.Rented
	// Lookup asks for the addresses of a name; nil: the machine's resolver.
	Lookup   func(ctx context.Context, name string) ([]netip.Addr, error)
	Provider func(Settings) Provider // nil: NewProvider
	Port     uint16                  // of the public doors; 0: 443
	Round    time.Duration           // between two looks; 0: 20 s
	Now      func() time.Time        // nil: time.Now
	Logger   *slog.Logger            // nil: none
}

// Domain keeps the name. It is safe for concurrent use.
type Domain struct {
	cfg   Config
	asked slots

	mu    sync.Mutex // guards what follows
	fails map[door]int
	last  written
}

// door is an address where a box may have its public door.
type door struct {
	box ident.BoxID
	at  netip.Addr
}

type written struct {
	hosts    []Host
	settings Settings
	at       time.Time
}

// New returns a Domain. It looks after the name only while Run does.
func New(cfg Config) (*Domain, error) {
	if cfg.Self == "" || cfg.Vault == nil || cfg.Roster == nil || cfg.Leads == nil || cfg.Links == nil || cfg.AddrsOf == nil || cfg.Open == nil || cfg.Knock == nil {
		return nil, errors.New("domain: incomplete config")
	}
	if cfg.Relays == nil {
		cfg.Relays = func() []addrbook.Rented { return nil }
	}
	if cfg.Provider == nil {
		cfg.Provider = NewProvider
	}
	if cfg.Lookup == nil {
		cfg.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if cfg.Port == 0 {
		cfg.Port = 443
	}
	if cfg.Round == 0 {
		cfg.Round = 20 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Domain{cfg: cfg, fails: map[door]int{}}, nil
}

// Name is the circle's public name, empty when it has none, or this box cannot know it yet.
func (d *Domain) Name() string {
	s, ok, err := d.Settings()
	if err != nil || !ok {
		return ""
	}
	return s.Domain
}

// Names are all names by which the pages may be asked for from outside: the circle's
// and those of its houses.
func (d *Domain) Names() (names []string) {
	name := d.Name()
	if name == "" {
		return nil
	}
	for label := range localname.Houses(d.cfg.Roster()) {
		names = append(names, label+"."+name)
	}
	slices.Sort(names)
	return append([]string{name}, names...)
}

// BoxesFor are the boxes that a name asks for first, none for the circle's own name;
// known: the name is one of ours.
func (d *Domain) BoxesFor(name string) (boxes []ident.BoxID, known bool) {
	own := d.Name()
	if own == "" {
		return nil, false
	}
	if name == own {
		return nil, true
	}
	label, ok := strings.CutSuffix(name, "."+own)
	if !ok {
		return nil, false
	}
	boxes, known = localname.Houses(d.cfg.Roster())[label]
	return boxes, known
}

// Trouble says what keeps the name from leading home.
type Trouble string

// The troubles; they are stored and never change.
const (
	NoTrouble    Trouble = ""
	TokenRefused Trouble = "token"     // the provider refuses our token
	NotWritten   Trouble = "server"    // the provider cannot be reached, or fails
	Nobody       Trouble = "nobody"    // no house is reached from outside
	Elsewhere    Trouble = "elsewhere" // the name leads somewhere else
	TokenStolen  Trouble = "stolen"    // a box that was stolen knew the token
)

// Report is what the box that looks after the name found last.
type Report struct {
	Trouble Trouble     `json:"trouble,omitempty"`
	Since   int64       `json:"since"` // Unix milliseconds
	By      ident.BoxID `json:"by"`
}

// Report returns what was found last, zero when nothing was.
func (d *Domain) Report() (r Report) {
	raw, err := d.cfg.Vault.Get(reportName)
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return Report{}
	}
	return r
}

// report tells all boxes of a change.
func (d *Domain) report(ctx context.Context, t Trouble) {
	if was := d.Report(); was.Since != 0 && was.Trouble == t {
		return
	}
	raw, err := json.Marshal(Report{t, d.cfg.Now().UnixMilli(), d.cfg.Self})
	if err == nil {
		err = d.cfg.Vault.Put(ctx, reportName, raw)
	}
	if err != nil && ctx.Err() == nil {
		d.cfg.Logger.Warn("trouble of the name not told", "trouble", string(t), "err", err)
	}
}
