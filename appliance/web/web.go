// Package web is the pages: plain HTML over plain http that work in any browser,
// with or without JavaScript. It only translates between people and the packages
// that do the work, which it knows by the interfaces below.
package web

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/appliance/circle"
	"redhen/appliance/firstboot"
	"redhen/appliance/space"
	"redhen/appliance/status"
	"redhen/appliance/web/care"
	"redhen/appliance/web/gift"
	"redhen/appliance/web/lost"
	"redhen/appliance/web/naming"
	"redhen/appliance/web/page"
	"redhen/appliance/web/upload"
	webwifi "redhen/appliance/web/wifi"
	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/raftnode/directory"
)

//go:embed templates
var templates embed.FS

// Circle is what people decide; *circle.Circle does it.
type Circle interface {
	Founder
	People
	Devices
	lost.Losses
	care.Leaving
	gift.Giver
	Invites
	Wishes
}

// Founder brings a fresh box into a circle, and others to it.
type Founder interface {
	Claimed() bool
	Roster() *roster.State
	Found(ctx context.Context, name string, place circle.Place, keeper circle.Person) error
	Join(ctx context.Context, ticket string, place circle.Place, keeper circle.Person, progress func(pair.Progress)) error
	InviteBox(ttl time.Duration) (ticket.Ticket, error)
	// Unreceived reports whether the box is a gift that waits for its keeper; Receive is by the keeper.
	Unreceived() bool
	Receive(ctx context.Context, keeper circle.Person) error
}

// People are the accounts of the circle.
type People interface {
	Accounts() ([]directory.Account, error)
	Account(login string) (directory.Account, error)
	SetPassword(ctx context.Context, login, old, password string) error
	InviteAccount(ctx context.Context, by ident.AccountID, login, fullName string) (circle.Invitation, error)
	Invited(code string) (directory.Invite, bool)
	UseInvite(ctx context.Context, code string, p circle.Person) (directory.Account, error)
}

// Devices are passwords for programs and machines of one account.
type Devices interface {
	AddDevice(ctx context.Context, login, label string) (id, password string, err error)
	RemoveDevice(ctx context.Context, login, id string) error
}

// Invites are invitations to people that hold, and the help that a keeper gives.
type Invites interface {
	Invitations() ([]directory.Invite, error)
	Uninvite(ctx context.Context, hash [32]byte, by ident.AccountID) error
	HelpWithPassword(ctx context.Context, login, password string, by ident.AccountID) error
}

// Wishes are what a keeper decides about this box, and a person about their files.
type Wishes interface {
	BoxWishes() (directory.BoxSettings, error)
	Wish(ctx context.Context, by ident.AccountID, change func(*directory.BoxSettings)) error
	Copies(login string) (int, error)
	SetCopies(ctx context.Context, login string, n int) error
}

// Desk is where boxes wait that want to join; *pair.Desk does it.
type Desk interface {
	Pending() []pair.Pending
	Tickets() []pair.Issued
	Approve(ctx context.Context, box ident.BoxID) error
	Reject(box ident.BoxID) error
	Revoke(ticket string) error
}

// Sessions know who somebody is; *account.Accounts does it.
type Sessions interface {
	Login(ctx context.Context, name, password string) (token string, s account.Session, err error)
	Verify(token string) (account.Session, error)
	Renew(token string) (string, account.Session, error)
	// Bind gives a session for a browser, which shows it at one host name alone.
	Bind(token, host string) (string, account.Session, error)
	// Issue logs somebody in who proved otherwise who they are.
	Issue(id ident.AccountID) (token string, s account.Session, err error)
}

// Reports answer whether everything is safe; *status.Watch does it.
type Reports interface {
	Report(ctx context.Context) (status.Report, error)
	Diary(in *words.Words, limit int) ([]status.Line, error)
	care.Neighbours
}

// Spaces finds the spaces that an account may see.
type Spaces interface {
	// Names returns their names; that of the account's own space is the login name.
	Names(ctx context.Context, account ident.AccountID) ([]string, error)
	// Space returns the account's view of one, space.ErrNotFound when it has none of that name.
	Space(ctx context.Context, account ident.AccountID, name string) (*space.FS, error)
}

// Claim guards a fresh box; *Rule does it.
type Claim interface {
	// NeedsCode reports whether somebody at this address must know the code.
	NeedsCode(from netip.Addr) bool
	// Check returns nil when the box may be claimed from this address with this code, else
	// ErrCode, ErrClosed or *account.SlowError.
	Check(from netip.Addr, code string) error
}

// Care is what people do for the circle and the box; see package care.
type Care struct {
	Drills    care.Drills
	Scrubber  care.Scrubber
	Updates   care.Updates   // nil: the box has no slots
	Disks     care.DataDisks // nil: the same
	Strangers care.Strangers
	Bakery    gift.Bakery // nil: the box writes no cards
}

// Start is what the card of the box asks for, and how far that is; *firstboot.Start does it.
type Start interface {
	State() firstboot.State
	Changed() <-chan struct{}
	// Received forgets the code of the gift card.
	Received()
	// Keeper and Reset are the login name of this box's keeper, and a new password for it.
	Keeper() (string, error)
	Reset(ctx context.Context, password string) error
}

var (
	_ Start    = (*firstboot.Start)(nil)
	_ Circle   = (*circle.Circle)(nil)
	_ Desk     = (*pair.Desk)(nil)
	_ Sessions = (*account.Accounts)(nil)
	_ Reports  = (*status.Watch)(nil)
)

// Config is what the pages stand on. All but the last group is needed.
type Config struct {
	Box      ident.BoxID
	Circle   Circle
	Desk     Desk
	Sessions Sessions
	Status   Reports
	Spaces   Spaces
	Claim    Claim
	Returns  lost.Returns
	Care     Care

	// Proof guards what needs the code always: to receive a gift, and a new password; nil: nobody may.
	Proof Claim
	// Start is what the card asks for; nil: there is no card.
	Start Start

	// Names are the host names of this box, such as "mill-lane.local", the best one
	// first; redhen.local, localhost and all IP addresses are names of every box.
	Names func() []string
	// Wifi is the radio of the box; nil: somebody else looks after it.
	Wifi webwifi.Air
	// Naming is the public name of the circle; nil: it cannot have one here.
	Naming api.Naming
	// Near are the other boxes of the circle on the network of this house.
	Near func() []ident.BoxID
	// Fresh are the addresses of boxes on the network of this house that belong to nobody
	// yet; it takes a second at most. nil: none are looked for.
	Fresh  func(context.Context) []netip.Addr
	Logger *slog.Logger     // nil: none
	Now    func() time.Time // nil: time.Now; its location is that of the times on the pages
}

func (c *Config) validate() error {
	if c.Box == "" || c.Circle == nil || c.Desk == nil || c.Sessions == nil || c.Status == nil || c.Spaces == nil || c.Claim == nil || c.Returns == nil || c.Care.Drills == nil || c.Care.Scrubber == nil || c.Care.Strangers == nil {
		return errors.New("web: incomplete config")
	}
	if c.Names == nil {
		c.Names = func() []string { return nil }
	}
	if c.Near == nil {
		c.Near = func() []ident.BoxID { return nil }
	}
	if c.Fresh == nil {
		c.Fresh = func(context.Context) []netip.Addr { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Server serves the pages. It is safe for concurrent use.
type Server struct {
	cfg   Config
	site  *page.Site
	mux   *http.ServeMux
	join  *joining
	photo chan struct{}

	uploads *upload.Uploads
	smalls  *smallPictures
	passes  *passes
	guesses *guesses
}

var _ http.Handler = (*Server)(nil)

// New returns a Server. Joining another circle goes on only while Run does.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), join: newJoining(), photo: make(chan struct{}, 1), uploads: upload.New(cfg.Now), smalls: newSmallPictures(), passes: newPasses(cfg.Now), guesses: newGuesses(cfg.Now)}
	var err error
	s.site, err = page.New(page.Config{
		Box: cfg.Box, Circle: cfg.Circle, Names: cfg.Names, Session: s.session, Logger: cfg.Logger, Now: cfg.Now, Languages: words.All(),
	}, templates, lost.Templates, care.Templates, gift.Templates, naming.Templates, webwifi.Templates)
	if err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

// Run works off what takes longer than a request, until ctx ends; it returns nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.uploads.Close()
	var errands sync.WaitGroup
	defer errands.Wait()
	errands.Go(func() { s.site.Run(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-s.join.start:
			s.runJoin(ctx, a)
		}
	}
}

func (s *Server) routes() {
	s.open("GET /wifi", air((*webwifi.Pages).Show))
	s.open("POST /wifi", air((*webwifi.Pages).Change))
	s.mux.Handle("GET /static/{hash}/{name}", http.HandlerFunc(s.site.Static))

	// A fresh box, a gift, and a forgotten password.
	s.open("GET /live/start", (*request).liveStart)
	s.open("GET /receive", (*request).receivePage)
	s.open("POST /receive", (*request).receive)
	s.open("GET /reset", (*request).presencePage)
	s.open("POST /reset", (*request).presence)
	s.open("GET /claim", (*request).claimPage)
	s.open("POST /claim", (*request).claim)
	s.open("GET /p", (*request).joinPage)
	s.open("POST /p/photo", (*request).joinPhoto)
	s.open("POST /join", (*request).startJoin)
	s.open("POST /join/stop", (*request).stopJoin)
	s.open("GET /joining", (*request).joiningPage)
	s.open("GET /live/joining", (*request).liveJoining)

	s.open("GET /login", (*request).loginPage)
	s.open("POST /login", (*request).login)
	s.open("POST /logout", (*request).logout)
	s.open("GET /welcome/{code}", (*request).welcomePage)
	s.open("POST /welcome/{code}", deciding((*request).welcome))
	s.open("GET /enter/{code}", (*request).enterPage)
	s.open("POST /enter/{code}", (*request).enterByCode)
	s.open("GET /forgot", (*request).forgotPage)
	s.open("GET /reset/{code}", (*request).resetPage)
	s.open("POST /reset/{code}", deciding((*request).reset))

	s.open("GET /{$}", (*request).front)
	s.member("GET /live/home", (*request).liveHome)
	s.fileRoutes()

	s.member("GET /circle", (*request).circlePage)
	s.member("GET /circle/help", (*request).helpPage)
	s.member("POST /circle/help", (*request).help)
	s.member("GET /circle/help/{id}", (*request).helpLinkPage)
	s.member("POST /circle/uninvite", deciding((*request).uninvite))
	s.member("GET /invite/box", (*request).inviteBoxPage)
	s.member("POST /invite/box", (*request).inviteBox)
	s.member("GET /invite/box/{id}", (*request).ticketPage)
	s.member("POST /invite/box/answer", deciding((*request).answerBox))
	s.member("POST /invite/box/revoke", (*request).revokeTicket)
	s.member("GET /live/waiting", (*request).liveWaiting)
	s.member("GET /invite/person", (*request).invitePersonPage)
	s.member("POST /invite/person", deciding((*request).invitePerson))
	s.member("GET /invite/person/{id}", (*request).invitationPage)

	s.member("GET /me", (*request).mePage)
	s.member("POST /me/password", deciding((*request).changePassword))
	s.member("POST /me/devices", deciding((*request).addDevice))
	s.member("GET /me/devices/{id}", (*request).devicePage)
	s.member("POST /me/devices/remove", deciding((*request).removeDevice))
	s.member("POST /me/another", (*request).another)
	s.member("GET /me/another/{id}", (*request).anotherPage)
	s.member("POST /me/copies", deciding((*request).setCopies))
	s.member("GET /box", (*request).boxPage)
	s.member("POST /box", deciding((*request).wishes))
	s.noun((&lost.Pages{Losses: s.cfg.Circle, Returns: s.cfg.Returns, Status: s.cfg.Status}).Routes())
	s.noun((&gift.Pages{Giver: s.cfg.Circle, Desk: s.cfg.Desk, Bakery: s.cfg.Care.Bakery}).Routes())
	if s.cfg.Naming != nil {
		s.noun((&naming.Pages{Naming: s.cfg.Naming, Keepers: s.cfg.Circle}).Routes())
	}
	c := &care.Pages{
		Drills: s.cfg.Care.Drills, Scrubber: s.cfg.Care.Scrubber, Leaving: s.cfg.Circle, Updates: s.cfg.Care.Updates, Disks: s.cfg.Care.Disks,
		Strangers: s.cfg.Care.Strangers, Near: s.cfg.Status, Wishes: s.cfg.Circle, Status: s.cfg.Status, Consents: s.consents,
	}
	s.noun(c.Routes())
	for pattern, fn := range c.Open() {
		s.open(pattern, func(q *request) error { return fn(q.Request) })
	}
	s.open("/", (*request).nothingHere)
}

// noun serves the pages of another package to people who are logged in.
func (s *Server) noun(routes map[string]page.Handler) {
	for pattern, fn := range routes {
		s.members(pattern, fn)
	}
}

// consents reports whether this box takes part in fire drills.
func (s *Server) consents() bool {
	wishes, err := s.cfg.Circle.BoxWishes()
	return err == nil && !wishes.NoDrills
}

// air serves a page about the radio, where there is one to look after.
func air(fn func(*webwifi.Pages, *page.Request) error) handler {
	return func(q *request) error {
		if q.cfg.Wifi == nil {
			return q.nothingHere()
		}
		return fn(&webwifi.Pages{Air: q.cfg.Wifi, Claim: q.cfg.Claim}, q.Request)
	}
}

func (s *Server) fileRoutes() {
	s.member("GET /files", (*request).ownFiles)
	s.member("GET /files/{space}", (*request).filesPage)
	s.member("GET /files/{space}/{path...}", (*request).filesPage)
	s.member("POST /files/{space}", (*request).changeFiles)
	s.member("POST /files/{space}/{path...}", (*request).changeFiles)
	s.member("GET /get/{space}/{path...}", (*request).download)
	s.member("GET /small/{space}/{path...}", (*request).small)
	s.member("GET /removed/{space}", (*request).removedPage)
	s.member("GET /zip/{space}/{path...}", (*request).asZip)
	s.member("GET /live/kept/{space}", (*request).liveKept)
	s.member("GET /live/where/{space}/{path...}", (*request).liveWhere)

	s.member("POST /upload/{space}/{path...}", (*request).beginUpload)
	s.member("GET /uploads/{id}", (*request).lookUpload)
	s.member("PUT /uploads/{id}", (*request).takePiece)
	s.member("POST /uploads/{id}/stop", (*request).stopUpload)
}
