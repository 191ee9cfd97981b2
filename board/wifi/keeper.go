package wifi

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Timing of a Keeper.
const (
	joinPatience = 20 * time.Second
	poll         = 500 * time.Millisecond
	lookEvery    = 5 * time.Second  // at a link that stands
	scanEvery    = 15 * time.Second // without one
	firstWait    = 30 * time.Second // before a network that refused is tried again
	longestWait  = 5 * time.Minute
	setupAfter   = time.Minute     // without a link, before the box opens a network of its own
	setupGrace   = 5 * time.Second // that the page which people sent still answers them
	setupLook    = 5 * time.Minute // after which it looks for the known ones again, while nobody is on it
	seenAge      = time.Minute     // of what is in reach, while nothing is to be joined
)

// Config says what a Keeper works with. Radio and Networks are needed.
type Config struct {
	Radio    Radio
	Networks func() []Network       // best first; asked before each look around
	Changed  func() <-chan struct{} // closed when Networks may have changed; nil: it is looked at now and then
	Country  func() string          // where the radio is, when a network does not say; nil: not known
	// Address gets an address in the network that was joined, and keeps it until ctx ends;
	// nil: somebody else does.
	Address func(ctx context.Context) error
	Setup   Hotspot      // nil: there is none
	Cabled  func() bool  // whether a cable leads to a network; nil: never
	Logger  *slog.Logger // nil: none
}

// Keeper keeps a radio on a known network. State may be called by anybody.
type Keeper struct {
	cfg     Config
	country string              // set last
	waits   map[string]patience // of networks that refused; Run alone
	lease   lease               // Run alone
	stood   time.Time           // when a link stood last, or Run began; Run alone
	asked   bool                // somebody changed the networks while Setup was open; Run alone
	seenAt  time.Time           // Run alone

	mu    sync.Mutex // guards state
	state State
}

// patience is until when a network is left alone, and how long the next time.
type patience struct {
	network Network // as it was tried
	until   time.Time
	next    time.Duration
	why     Trouble
}

// lease is an address that is being kept in a network.
type lease struct {
	ssid string
	end  func() // nil: there is none; it returns when the address is given up
}

// New returns a Keeper.
func New(cfg Config) *Keeper {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Country == nil {
		cfg.Country = func() string { return "" }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() <-chan struct{} { return nil }
	}
	if cfg.Cabled == nil {
		cfg.Cabled = func() bool { return false }
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
	if s.Seen == nil {
		s.Seen = was.Seen
	}
	k.state = s
	k.mu.Unlock()
	if was.Link.SSID != s.Link.SSID || was.Trouble != s.Trouble || was.Network != s.Network || was.Setup != s.Setup {
		k.cfg.Logger.Info("wifi", "joined", s.Link.SSID, "network", s.Network, "trouble", string(s.Trouble), "setup", s.Setup)
	}
}

// Run keeps the radio on a network until ctx ends; it returns nil. It leaves the link
// as it is then: the box may only be restarting its program.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.leave()
	k.stood = time.Now()
	for {
		changed := k.cfg.Changed()
		wait := k.step(ctx)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-changed:
		case <-t.C:
		}
		t.Stop()
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
		k.stands(ctx, link)
		return lookEvery
	}
	k.leave()
	k.setCountry(networks)
	if len(networks) == 0 && time.Since(k.seenAt) < seenAge {
		return k.without(ctx, networks, State{})
	}
	seen, err := k.look(ctx)
	if err != nil {
		k.cfg.Logger.Warn("wifi scan", "err", err) // hidden networks are tried all the same
	}
	trouble := State{}
	if len(networks) > 0 {
		trouble = State{Trouble: Absent, Network: networks[0].SSID}
	}
	for _, c := range candidates(networks, seen) {
		if ctx.Err() != nil {
			return scanEvery
		}
		if w := k.waits[c.SSID]; w.network == c.Network && time.Now().Before(w.until) {
			trouble = State{Trouble: w.why, Network: c.SSID}
			continue
		}
		what := k.join(ctx, c)
		if what == None {
			return lookEvery
		}
		trouble = State{Trouble: what, Network: c.SSID}
	}
	return k.without(ctx, networks, trouble)
}

// look scans, and notes what is in reach for people.
func (k *Keeper) look(ctx context.Context) ([]Seen, error) {
	seen, err := k.cfg.Radio.Scan(ctx)
	if err != nil {
		return nil, err
	}
	k.seenAt = time.Now()
	list := slices.Clone(seen)
	slices.SortStableFunc(list, func(a, b Seen) int { return b.Signal - a.Signal })
	once := map[string]bool{}
	list = slices.DeleteFunc(list, func(s Seen) bool {
		again := once[s.SSID]
		once[s.SSID] = true
		return again
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Seen = list
	return seen, nil
}

// stands notes a link, and has an address got in a network that is new.
func (k *Keeper) stands(ctx context.Context, link Link) {
	k.stood, k.asked = time.Now(), false
	k.set(State{Link: link, Network: link.SSID})
	if k.lease.ssid == link.SSID || k.cfg.Address == nil {
		return
	}
	k.leave()
	life, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends with lease.end
		defer close(done)
		if err := k.cfg.Address(life); err != nil {
			k.cfg.Logger.Warn("wifi address", "err", err)
		}
	}()
	k.lease = lease{ssid: link.SSID, end: func() { end(); <-done }}
}

// leave gives up the address of a network that is gone.
func (k *Keeper) leave() {
	if k.lease.end != nil {
		k.lease.end()
	}
	k.lease = lease{}
}

// without is what happens while no network is joined.
func (k *Keeper) without(ctx context.Context, networks []Network, s State) time.Duration {
	k.set(s)
	late := len(networks) == 0 || k.asked || time.Since(k.stood) >= setupAfter
	if k.cfg.Setup == nil || !late || k.cfg.Cabled() {
		return scanEvery
	}
	return k.open(ctx, networks, s)
}

// open has the box's own network open until somebody names another network, a cable
// comes, or it is time to look for the known ones.
func (k *Keeper) open(ctx context.Context, networks []Network, s State) time.Duration {
	life, end := context.WithCancel(ctx)
	defer end()
	done := make(chan error, 1)
	go func() { done <- k.cfg.Setup.Run(life) }()
	s.Setup = k.cfg.Setup.Name()
	k.set(s)
	begin := time.Now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		changed := k.cfg.Changed()
		if !slices.Equal(networks, k.cfg.Networks()) {
			k.asked = true
			k.pause(ctx, setupGrace)
			break
		}
		if k.cfg.Cabled() || len(networks) > 0 && time.Since(begin) >= setupLook && k.cfg.Setup.Guests() == 0 {
			break
		}
		select {
		case err := <-done: // it ended by itself, or with ctx
			if ctx.Err() == nil {
				k.cfg.Logger.Warn("wifi setup", "err", err)
			}
			s.Setup = ""
			k.set(s)
			return scanEvery
		case <-changed:
		case <-tick.C:
		}
	}
	end()
	if err := <-done; err != nil {
		k.cfg.Logger.Warn("wifi setup", "err", err)
	}
	s.Setup = ""
	k.set(s)
	return 0
}

// pause waits, at most until ctx ends.
func (k *Keeper) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
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
	case c.lock == Company:
		return ForPeople
	case c.lock == WPA3 && c.Passphrase == "" && c.PMK != "":
		return NoPassword
	case c.lock != Unlocked && c.Open():
		return k.refused(c) // it has a password that we do not know
	case c.lock == Unlocked && !c.Open():
		return k.refused(c) // somebody else calls theirs so: never without the key
	}
	switch err := k.cfg.Radio.Join(c.Network, c.lock); {
	case errors.Is(err, ErrCannot) && c.lock == WPA3:
		return TooNew
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
		switch {
		case err == nil && link.Refused:
			return false
		case err != nil || link.SSID != ssid:
			good = 0
			continue
		}
		if good++; good == 3 {
			k.stands(ctx, link)
			return true
		}
	}
	return false
}

// refused has a network wait longer each time.
func (k *Keeper) refused(c candidate) Trouble {
	w := k.waits[c.SSID]
	if w.network != c.Network {
		w = patience{network: c.Network} // another password: it is tried at once
	}
	w.next = min(max(2*w.next, firstWait), longestWait)
	w.until = time.Now().Add(w.next)
	w.why = Refused
	if !c.seen {
		w.why = Absent // hidden: it cannot be told from one that is away
	}
	k.waits[c.SSID] = w
	return w.why
}
