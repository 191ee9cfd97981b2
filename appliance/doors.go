package appliance

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/appliance/dav"
	"redhen/appliance/firstboot"
	"redhen/appliance/passkey"
	"redhen/appliance/web"
	"redhen/images/layout"
	"redhen/provision/ident"
	"redhen/provision/p2p/localname"
)

// Timeouts of the doors. There is none for a whole body: an upload from a slow line
// may take a day.
const (
	headerPatience = 15 * time.Second
	idlePatience   = 2 * time.Minute
	maxHeader      = 64 << 10
	lastAnswers    = 5 * time.Second // what is under way may end so long after the stop

	// freeClaim is how long a fresh box may be claimed from its own network without the code.
	freeClaim = 15 * time.Minute
)

// openDoors opens the ports of the doors; nothing answers before serveDoors.
func (a *Appliance) openDoors() (err error) {
	a.claimCode = newClaimCode()
	if a.socket, err = a.cfg.Socket(a.cfg.Dir); err != nil {
		return fmt.Errorf("open %s: %w", api.SocketName, err)
	}
	if a.cfg.HTTP == "" {
		return nil
	}
	free := freeClaim
	if a.start.HasCode() || a.cfg.Panel.Screen != nil {
		free = 0 // whoever the box is for has it on paper, or sees it
	}
	cfg := web.Config{
		Box: a.key.BoxID(), Circle: a.circle, Desk: a.circle.Desk(), Sessions: a.accounts, Status: a.watch,
		Spaces: spaces{a.node}, Claim: web.NewRule(a.claimCode, free, nil).Or(a.start.Claims),
		Proof: web.NewRule(a.claimCode, 0, nil).Or(a.start.Claims), Start: a.start, Names: a.hostNames, Now: a.now, Logger: a.log,
		Near: func() []ident.BoxID { return near(a.host.Links()) }, Returns: a.home, Care: a.care(), Naming: a,
	}
	if a.air != nil {
		cfg.Wifi = a.air
	}
	if a.cfg.LAN {
		cfg.Fresh = (&freshBoxes{ask: localname.Ask, now: time.Now}).list
	}
	a.pages, err = web.New(cfg)
	if err != nil {
		return fmt.Errorf("open the pages: %w", err)
	}
	if a.http, err = net.Listen("tcp", a.cfg.HTTP); err != nil {
		return fmt.Errorf("open the pages: %w", err)
	}
	return nil
}

// care is what people do for the circle and this box.
func (a *Appliance) care() web.Care {
	c := web.Care{Drills: a.drills, Scrubber: a.node, Strangers: a}
	if a.updater != nil {
		c.Updates, c.Disks = a.updater, a.disks
	}
	if b := a.bakery(); b != nil {
		c.Bakery = b
	}
	return c
}

// newClaimCode draws what somebody from elsewhere must know to claim a fresh box.
func newClaimCode() string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return fmt.Sprintf("%08d", binary.BigEndian.Uint64(b[:])%100_000_000)
}

// serveDoors serves people and programs until ctx ends, then lets what is under way end.
func (a *Appliance) serveDoors(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	serve := func(l net.Listener, h http.Handler) {
		group.Go(func() error { return a.serveDoor(ctx, l, h) })
	}
	serve(a.socket, a.localDoor())
	if a.http != nil {
		serve(a.http, a.air.atDoor(a.publicDoors(ctx), a.claimed))
		serve(tls.NewListener(a.public.here, a.public.certs.TLS()), a.publicDoors(ctx))
		group.Go(func() error { return a.pages.Run(ctx) })
	}
	return group.Wait()
}

func (a *Appliance) serveDoor(ctx context.Context, l net.Listener, h http.Handler) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end() // requests that outlive lastAnswers are broken off
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return life },
		ConnContext:       withSource,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }() // ends with Shutdown or Close
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	last, done := context.WithTimeout(life, lastAnswers)
	defer done()
	if err := srv.Shutdown(last); err != nil {
		end()
		srv.Close() // its error is that of a listener closed already
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// withSource notes where a request comes from, for the slowing of guesses.
func withSource(ctx context.Context, c net.Conn) context.Context {
	if from, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return account.WithSource(ctx, from.Addr().Unmap())
	}
	return ctx
}

// until has requests end with ctx, too.
func until(ctx context.Context, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		life, end := context.WithCancel(r.Context())
		defer end()
		defer context.AfterFunc(ctx, end)()
		h.ServeHTTP(w, r.WithContext(life))
	})
}

// publicDoors are what everybody in the house, and later in the world, may knock at.
func (a *Appliance) publicDoors(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	davDoor := dav.New(dav.Config{
		Auth:   dav.NewPasswords(a.accounts, account.Realm, nil),
		Spaces: spaces{a.node}, Logger: a.log,
	})
	mux.Handle("/dav", davDoor)
	mux.Handle("/dav/", davDoor)
	keepersOnly := a.keepersOnly()
	if a.updater != nil {
		mux.Handle("/update", a.updater.Door(keepersOnly))
	}
	for _, request := range forKeepers() {
		mux.Handle(request, keepersDoor(keepersOnly, a.localDoor()))
	}
	if keys, err := passkey.New(a.passkeys()); err != nil {
		a.log.Error("passkeys", "err", err)
	} else {
		mux.Handle("/passkey", keys)
		mux.Handle("/passkey/", keys)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.Handle("/live/", until(ctx, a.pages)) // they would hold up the end
	mux.Handle("/", a.pages)
	return a.recalled(ctx, a.toPublicName(mux))
}

// recallPatience bounds how long the doors wait for a box that has just started.
const recallPatience = 10 * time.Second

// recalled has requests that come right after a start wait until the box knows again whom
// it knew: to be told that a password is wrong, because of a power cut, is no answer.
// A box whose friends are away answers with what it knows.
func (a *Appliance) recalled(ctx context.Context, h http.Handler) http.Handler {
	patience, end := context.WithTimeout(ctx, recallPatience)
	go func() { // ends with the patience, at the latest
		defer end()
		if err := a.node.Recall(patience); err != nil && ctx.Err() == nil {
			a.log.Warn("the box serves before it knows all that its log has", "err", err)
		}
	}()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-patience.Done():
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// forKeepers are the requests of the local door that the keeper of this box may send
// from elsewhere, by name and password.
func forKeepers() []string {
	return []string{"GET /v1/box", "GET /v1/status", "GET /v1/diary", "GET /v1/cards", "POST /v1/gifts", "GET /v1/disks", "POST /v1/disks", "GET /v1/update", "POST /v1/update"}
}

// keepersDoor lets a keeper's program through, and no page of another site that has a
// browser send what its keeper does not see.
func keepersDoor(allowed func(http.ResponseWriter, *http.Request) bool, door http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed(w, r) {
			door.ServeHTTP(w, r)
		}
	}))
}

// localDoor is for programs on this machine that may open the socket.
func (a *Appliance) localDoor() http.Handler {
	cfg := api.Config{
		SetStrangers: a.SetStrangers, Naming: a,
		Box: a.About, Circle: a.circle, Home: a.home, Status: a.watch, Spaces: spaces{a.node}, Care: a.node, Drills: a.drills, Logger: a.log,
		Bakery: a.bakery(),
	}
	if a.updater != nil {
		cfg.Updates, cfg.Disks = a.updater, a.disks
	}
	return api.New(cfg)
}

// About is what this box says of itself.
func (a *Appliance) About() api.Box {
	b := api.Box{
		ID: a.key.BoxID(), Pages: a.Addr(), Port: a.host.Port(), Addresses: a.host.Addrs(), ClaimCode: a.claimCode,
		Paper: a.start.HasCode(), Start: api.StartOf(a.start.State()), Level: layout.Level,
	}
	b.Agreed, _, _ = a.circle.Formats() // zero where it is not known
	r := a.circle.Roster()
	if r == nil {
		return b
	}
	me, _ := r.Box(b.ID)
	h, _ := r.House(me.House)
	b.Gift = me.Gift
	if !b.Gift && b.Start.Doing != firstboot.AskReset {
		b.ClaimCode = ""
	}
	b.Claimed, b.Circle, b.Name, b.House = r.Active(b.ID), r.Name(), me.Name, h.Name
	return b
}
