package appliance

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/appliance/certs"
	"redhen/appliance/circle"
	"redhen/appliance/domain"
	"redhen/appliance/ingress"
	"redhen/appliance/passkey"
	"redhen/appliance/status"
	"redhen/appliance/vault"
	"redhen/provision/ident"
	"redhen/provision/onefile"
	"redhen/provision/p2p"
	"redhen/provision/p2p/netaddr"
	"redhen/provision/roster"
	"redhen/raftnode"
)

// public is what makes this box a house of the circle's public name.
type public struct {
	vault  *vault.Vault
	domain *domain.Domain
	certs  *certs.Certs
	here   *ingress.Listener // visitors that this box serves
	door   *ingress.Door     // nil: no door of this box's own
	https  net.Listener      // of the door
	floods floods            // at relays
}

// ErrPublicDoor says that the door for visitors could not be opened.
var ErrPublicDoor = errors.New("open the public door")

// openPublic opens the door to the internet and all that stands behind it.
func (a *Appliance) openPublic() (err error) {
	p := &a.public
	if p.vault, err = vault.New(vault.Config{Key: a.key, Node: a.node, Logger: a.log}); err != nil {
		return err
	}
	if p.certs, err = certs.New(certs.Config{Vault: p.vault, Look: a.cfg.RenewLook, Logger: a.log}); err != nil {
		return err
	}
	p.domain, err = domain.New(domain.Config{
		Self: a.key.BoxID(), Vault: p.vault, Roster: a.circle.Roster, Leads: a.leadsCircle, Links: a.host.Links,
		AddrsOf: a.host.AddrsOf, Open: a.host.Open, Knock: ingress.Knock, Relays: a.host.HeldRelays, Logger: a.log,
	})
	if err != nil {
		return err
	}
	p.here = ingress.NewListener(a.servesPublicly)
	a.host.Handle(ingress.Protocol, p2p.Doors, p.here.Receive)
	a.host.Handle(ingress.FloodProtocol, p2p.Doors, a.hearFlood)
	a.host.Handle(domain.KnockProtocol, p2p.Members, p.domain.Answer)
	if a.cfg.HTTPS == "" {
		return nil
	}
	p.https, err = net.Listen("tcp", a.cfg.HTTPS)
	switch {
	case err != nil && a.cfg.HTTPSOptional:
		a.log.Info("no door for visitors", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrPublicDoor, err)
	}
	p.door, err = ingress.NewDoor(ingress.Config{
		Key: a.key, Route: a.routePublic, Open: a.host.Open, Here: p.here, Flooded: a.tellFlood, Logger: a.log,
	})
	return err
}

// leadsCircle tells whether this box leads the circle's own records.
func (a *Appliance) leadsCircle(ctx context.Context) (leads, some bool) {
	st, err := a.node.Status(ctx)
	if err != nil {
		return false, false
	}
	for _, s := range st.Shards {
		if s.Shard == ident.CircleShard {
			return s.Leads, s.Leader != "" && !s.Apart
		}
	}
	return false, false
}

// servesPublicly says whether this box answers for a public name now.
func (a *Appliance) servesPublicly(name string, acme bool) bool {
	if _, known := a.public.domain.BoxesFor(name); !known {
		return false
	}
	return acme || servesHere(a.cfg.Dir) && a.public.certs.Has(name)
}

// visitorNames are those by which relays may bring visitors here.
func (a *Appliance) visitorNames() []string {
	if !servesHere(a.cfg.Dir) {
		return nil
	}
	return a.public.domain.Names()
}

// routePublic says who serves a name: the house it names, then this box, then the others, the
// nearest first.
func (a *Appliance) routePublic(name string) ingress.Route {
	first, known := a.public.domain.BoxesFor(name)
	if !known {
		return ingress.Route{}
	}
	r := ingress.Route{Known: true}
	links := a.host.Links()
	slices.SortStableFunc(links, func(x, y p2p.Link) int {
		return cmp.Or(cmp.Compare(y.State, x.State), cmp.Compare(x.RTT, y.RTT))
	})
	self := a.key.BoxID()
	add := func(b ident.BoxID) {
		if !slices.Contains(r.Boxes, b) {
			r.Boxes = append(r.Boxes, b)
		}
	}
	inReach := func(b ident.BoxID) bool {
		return b == self || slices.ContainsFunc(links, func(l p2p.Link) bool { return l.Box == b && l.State != p2p.None })
	}
	for _, b := range first {
		if inReach(b) {
			add(b)
		}
	}
	r.House = len(r.Boxes)
	add(self)
	for _, l := range links {
		if inReach(l.Box) {
			add(l.Box)
		}
	}
	return r
}

// servePublic keeps the name and serves visitors until ctx ends.
func (a *Appliance) servePublic(ctx context.Context) error {
	p := &a.public
	defer p.certs.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.vault.Run(ctx) })
	group.Go(func() error { return p.domain.Run(ctx) })
	group.Go(func() error { return p.certs.Run(ctx) })
	group.Go(func() error { return a.followName(ctx) })
	if p.door != nil {
		group.Go(func() error { return p.door.Serve(ctx, p.https) })
	}
	return group.Wait()
}

// followName wants the certificates of the name that is set, and makes good what a
// stolen box knows.
func (a *Appliance) followName(ctx context.Context) error {
	for {
		news := a.node.News()
		if err := a.wantCerts(ctx); err != nil {
			a.log.Warn("certificates", "err", err)
		}
		if err := a.afterTheft(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("secrets that a stolen box knows are not changed yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-time.After(time.Minute):
		}
	}
}

func (a *Appliance) wantCerts(ctx context.Context) error {
	s, ok, err := a.public.domain.Settings()
	switch {
	case errors.Is(err, vault.ErrLocked):
		return nil // it comes from another box
	case err != nil:
		return err
	case !ok:
		return a.public.certs.Want(ctx, certs.Order{})
	}
	mark, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return a.public.certs.Want(ctx, certs.Order{
		Domain: s.Domain, Challenges: domain.NewProvider(s).Challenges(), Authority: s.Authority, Roots: s.Roots,
		Email: s.Email, Resolvers: s.Resolvers, Mark: string(mark),
	})
}

// rotatedName notes up to which theft the secrets were changed.
const rotatedName = "domain/rotated"

// afterTheft changes the circle's secret and the certificates' keys once for a box that
// was stolen: it is the leader's to do. The token only a person can change; status asks for it.
func (a *Appliance) afterTheft(ctx context.Context) error {
	if leads, some := a.leadsCircle(ctx); !leads || !some {
		return nil
	}
	var stolen uint64 // the place in the roster where the last theft was noted: no clock is asked
	for _, b := range a.circle.Roster().Boxes() {
		if b.Status == roster.StatusStolen {
			stolen = max(stolen, b.Rev)
		}
	}
	if stolen == 0 {
		return nil
	}
	raw, err := a.public.vault.Get(rotatedName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if done, err := strconv.ParseUint(string(raw), 10, 64); err == nil && done >= stolen {
		return nil
	}
	a.log.Info("secrets that a stolen box knows are changed")
	if err := errors.Join(a.public.vault.Rotate(ctx), a.public.certs.Replace(ctx)); err != nil {
		return err
	}
	return a.public.vault.Put(ctx, rotatedName, strconv.AppendUint(nil, stolen, 10))
}

// hereFile says "off" when the keeper wants this box to pass visitors on, and to serve none.
const hereFile = "visitors"

func servesHere(dir string) bool {
	b, err := onefile.Read(filepath.Join(dir, hereFile), 16)
	return err != nil || strings.TrimSpace(string(b)) != "off"
}

// ServeVisitors says whether this box serves visitors of the public name; off: it only passes
// them on to other houses.
func (a *Appliance) ServeVisitors(on bool) error {
	word := map[bool]string{true: "on\n", false: "off\n"}[on]
	return onefile.Replace(filepath.Join(a.cfg.Dir, hereFile), []byte(word))
}

// toPublicName leads those who ask for a public name in clear, or come from the internet, to
// where it is encrypted.
func (a *Appliance) toPublicName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names := a.public.domain.Names()
		if len(names) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if r.TLS != nil {
			w.Header().Set("Strict-Transport-Security", "max-age=2592000")
			next.ServeHTTP(w, r)
			return
		}
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		from, _ := netip.ParseAddrPort(r.RemoteAddr)
		switch {
		case slices.Contains(names, host):
		case netaddr.IsPublic(from.Addr().Unmap()) && a.public.certs.Has(names[0]):
			host = names[0]
		default:
			next.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}

var _ vault.Node = (*raftnode.Node)(nil)

// mapTCP are the ports that the router should pass through for visitors.
func (a *Appliance) mapTCP() (ports []int) {
	if a.cfg.HTTPS == "" {
		return nil
	}
	for _, at := range []string{a.cfg.HTTPS, a.cfg.HTTP} {
		_, port, err := net.SplitHostPort(at)
		if n, bad := strconv.Atoi(port); err == nil && bad == nil && (n == 443 || n == 80) {
			ports = append(ports, n)
		}
	}
	return ports
}

// publicName tells the status of the name, nil when there is none.
func (a *Appliance) publicName() *status.PublicName {
	if a.public.domain == nil {
		return nil
	}
	s, ok, err := a.public.domain.Settings()
	if err != nil || !ok {
		return nil
	}
	n := &status.PublicName{Domain: s.Domain, Provider: s.ProviderName(), Set: time.UnixMilli(s.Since)}
	if r := a.public.domain.Report(); r.Since != 0 {
		n.Trouble, n.Since = string(r.Trouble), time.UnixMilli(r.Since)
	}
	held := a.public.certs.Held(s.Domain)
	n.Ends, n.Late = held.Ends, held.Due
	return n
}

// Name tells all that is known of the public name; no secrets.
func (a *Appliance) Name() (n api.Name, err error) {
	s, ok, err := a.public.domain.Settings()
	if err != nil || !ok {
		return n, err
	}
	n = api.Name{
		Domain: s.Domain, Provider: s.Provider, Zone: s.Zone, Server: s.Server, KeyName: s.KeyName, Email: s.Email, Authority: s.Authority,
		Names: a.public.domain.Names(), Serves: servesHere(a.cfg.Dir), Door: a.public.door != nil,
		Trouble: string(a.public.domain.Report().Trouble),
	}
	held := a.public.certs.Held(s.Domain)
	n.Ends = held.Ends
	if held.Trouble != nil {
		n.NoCertificate = held.Trouble.Error()
	}
	return n, nil
}

// SetName sets the public name, and has the provider lead it here.
func (a *Appliance) SetName(ctx context.Context, s domain.Settings) error {
	if !a.circle.Claimed() {
		return circle.ErrNoCircle
	}
	return a.public.domain.Set(ctx, s)
}

// RemoveName ends the public name.
func (a *Appliance) RemoveName(ctx context.Context) error { return a.public.domain.Unset(ctx) }

// passkeys is what people log in with at the public name.
func (a *Appliance) passkeys() passkey.Config {
	return passkey.Config{
		Circle: a.circle, Sessions: a.accounts, Keys: a.accounts.Passkeys(), Logger: a.log,
		Party: func() (p account.Party, ok bool) {
			for i, name := range a.public.domain.Names() {
				if i == 0 {
					p.Name, p.Circle, ok = name, a.circle.Roster().Name(), true
				}
				p.Origins = append(p.Origins, "https://"+name)
			}
			return p, ok
		},
	}
}
