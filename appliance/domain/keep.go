package domain

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/p2p/localname"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/roster"
)

const (
	roundWithin = 30 * time.Second // one look, with all knocks
	writeAgain  = 10 * time.Minute // also when nothing changed: somebody may have meddled
	failsUntil  = 2                // knocks in vain, of a house that is in reach otherwise
	maxPerBox   = 8
)

// Run looks after the name until ctx ends.
func (d *Domain) Run(ctx context.Context) error {
	for {
		news := d.cfg.Vault.News()
		d.round(ctx)
		t := time.NewTimer(d.cfg.Round)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		case <-news: // settings, houses; not at once: news come in swarms
			select {
			case <-ctx.Done():
			case <-time.After(min(2*time.Second, d.cfg.Round)):
			}
			t.Stop()
		}
	}
}

func (d *Domain) round(ctx context.Context) {
	s, ok, err := d.Settings()
	if err != nil || !ok || !d.mine(ctx) {
		d.forget()
		return
	}
	ctx, done := context.WithTimeout(ctx, roundWithin)
	defer done()
	open := d.findOpen(ctx)
	hosts := d.hosts(s, open)
	t := NoTrouble
	switch {
	case len(hosts[0].Addrs) == 0:
		t = Nobody // what the name server has may be right again soon
	default:
		t = d.write(ctx, s, hosts)
	}
	if t == NoTrouble && d.stolenSince(s.Since) && s.Provider != ByHand {
		t = TokenStolen
	}
	if t == NoTrouble && d.leadsElsewhere(ctx, s, hosts[0].Addrs) {
		t = Elsewhere
	}
	if ctx.Err() == nil {
		d.report(ctx, t)
	}
}

// mine reports whether this box looks after the name: the leader, or while there is
// none the first of the boxes that reach each other.
func (d *Domain) mine(ctx context.Context) bool {
	leads, some := d.cfg.Leads(ctx)
	if some {
		return leads
	}
	for _, l := range d.cfg.Links() {
		if l.State != p2p.None && l.Box < d.cfg.Self {
			return false
		}
	}
	return true
}

// forget drops what was written, so that the next turn begins with writing.
func (d *Domain) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = written{}
	clear(d.fails)
}

// candidates are the addresses where a box may have its public door: those that the
// whole internet can reach. In a circle on one machine loopback is the internet.
func (d *Domain) candidates(box ident.BoxID) (list []netip.Addr) {
	for _, a := range d.cfg.AddrsOf(box) {
		ip := a.Addr().Unmap().WithZone("")
		if (netaddr.IsPublic(ip) || ip.IsLoopback()) && !slices.Contains(list, ip) && len(list) < maxPerBox {
			list = append(list, ip)
		}
	}
	return list
}

// findOpen knocks everywhere.
func (d *Domain) findOpen(ctx context.Context) map[ident.BoxID][]netip.Addr {
	var doors []door
	for _, b := range d.cfg.Roster().Members() {
		for _, a := range d.candidates(b.ID) {
			doors = append(doors, door{b.ID, a})
		}
	}
	for _, r := range d.cfg.Relays() {
		doors = append(doors, door{r.Box, r.At.Addr().Unmap()})
	}
	open := make([]bool, len(doors))
	var wg sync.WaitGroup
	for i, one := range doors {
		wg.Go(func() { open[i] = d.isOpen(ctx, one) })
	}
	wg.Wait()
	found := map[ident.BoxID][]netip.Addr{}
	for i, one := range doors {
		if d.believe(one, open[i]) {
			found[one.box] = append(found[one.box], one.at)
		}
	}
	return found
}

// believe lets a house that is in reach fail once.
func (d *Domain) believe(one door, open bool) bool {
	linked := one.box == d.cfg.Self
	for _, l := range d.cfg.Links() {
		linked = linked || l.Box == one.box && l.State != p2p.None
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, known := d.fails[one]
	switch {
	case open:
		d.fails[one] = 0
		return true
	case known && linked && n+1 < failsUntil:
		d.fails[one] = n + 1
		return true
	}
	delete(d.fails, one)
	return false
}

// isOpen knocks from here, unless it is here, and from some other houses.
func (d *Domain) isOpen(ctx context.Context, one door) bool {
	at := netip.AddrPortFrom(one.at, d.cfg.Port)
	if one.box != d.cfg.Self && d.cfg.Knock(ctx, at, one.box) == nil {
		return true
	}
	asked := 0
	for _, l := range d.cfg.Links() {
		if l.State == p2p.None || l.Box == one.box || asked == 3 {
			continue
		}
		open, err := d.ask(ctx, l.Box, one)
		if err != nil {
			d.cfg.Logger.Debug("knock not asked for", "box", l.Box.Short(), "err", err)
			continue
		}
		if open {
			return true
		}
		asked++
	}
	// Nobody else can tell: knock at our own door, from inside.
	return asked == 0 && one.box == d.cfg.Self && d.cfg.Knock(ctx, at, one.box) == nil
}

// hosts are the names and the addresses that they should have, the circle's first.
// A house that is not reached from outside has the addresses of all that are.
func (d *Domain) hosts(s Settings, open map[ident.BoxID][]netip.Addr) []Host {
	var all []netip.Addr
	for _, addrs := range open {
		all = append(all, addrs...)
	}
	all = sorted(all)
	r := d.cfg.Roster()
	hosts := []Host{{s.Domain, all}}
	for label, boxes := range localname.Houses(r) {
		var own []netip.Addr
		for _, b := range boxes {
			own = append(own, open[b]...)
		}
		if len(own) == 0 {
			own = all
		}
		hosts = append(hosts, Host{label + "." + s.Domain, sorted(own)})
	}
	for _, label := range left(r) {
		hosts = append(hosts, Host{Name: label + "." + s.Domain})
	}
	slices.SortFunc(hosts[1:], func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
	return hosts
}

// left are the labels of houses that had boxes and have none any more.
func left(r *roster.State) (labels []string) {
	now := localname.Houses(r)
	for _, b := range r.Boxes() {
		h, _ := r.House(b.House)
		label := localname.Label(h.Name)
		if _, there := now[label]; !there && label != "" && !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	return labels
}

func sorted(list []netip.Addr) []netip.Addr {
	list = slices.Clone(list)
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// write has the provider point the names, when something changed.
func (d *Domain) write(ctx context.Context, s Settings, hosts []Host) Trouble {
	d.mu.Lock()
	last := d.last
	d.mu.Unlock()
	now := d.cfg.Now()
	if reflect.DeepEqual(last.hosts, hosts) && reflect.DeepEqual(last.settings, s) && now.Sub(last.at) < writeAgain {
		return NoTrouble
	}
	if err := d.cfg.Provider(s).Point(ctx, hosts, s.ttl()); err != nil {
		d.cfg.Logger.Warn("name not pointed", "name", s.Domain, "err", err)
		if errors.Is(err, ErrToken) {
			return TokenRefused
		}
		return NotWritten
	}
	d.cfg.Logger.Info("name pointed", "name", s.Domain, "at", hosts[0].Addrs)
	d.mu.Lock()
	d.last = written{hosts, s, now}
	d.mu.Unlock()
	return NoTrouble
}

// stolenSince reports whether a box was stolen that knew what was set at the time.
func (d *Domain) stolenSince(ms int64) bool {
	for _, b := range d.cfg.Roster().Boxes() {
		if b.Status == roster.StatusStolen && b.Until > ms {
			return true
		}
	}
	return false
}

// leadsElsewhere reports whether the name has addresses, and none of them is ours.
func (d *Domain) leadsElsewhere(ctx context.Context, s Settings, ours []netip.Addr) bool {
	got, err := d.cfg.Lookup(ctx, s.Domain)
	if err != nil && s.Provider != ByHand {
		return false // this box has no resolver, or records are new
	}
	for _, a := range got {
		if slices.Contains(ours, a.Unmap()) {
			return false
		}
	}
	return true
}
