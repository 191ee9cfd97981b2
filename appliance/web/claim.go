package web

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/appliance/web/page"
	"redhen/provision/roster"
)

// Rule is who may claim a fresh box: whoever knows the code; and without one, for
// a while after the start, whoever is on the same network.
type Rule struct {
	code string
	or   func(code string) bool // nil: no other code
	free time.Time              // without the code until then
	now  func() time.Time

	mu    sync.Mutex // guards wrong and until
	wrong int
	until time.Time
}

var _ Claim = (*Rule)(nil)

// NewRule returns a Rule. An empty code is never right; free is how long from now
// none is needed, zero for a box with a screen. A nil now is time.Now.
func NewRule(code string, free time.Duration, now func() time.Time) *Rule {
	if now == nil {
		now = time.Now
	}
	return &Rule{code: code, free: now().Add(free), now: now}
}

// Or has the rule take another code, too: that of a gift card. It returns the rule.
func (r *Rule) Or(right func(code string) bool) *Rule {
	r.or = right
	return r
}

// NeedsCode implements Claim.
func (r *Rule) NeedsCode(from netip.Addr) bool {
	near := from.IsLoopback() || from.IsPrivate() || from.IsLinkLocalUnicast()
	return !near || !r.now().Before(r.free)
}

// Check implements Claim. After five wrong codes each further one has to wait longer.
func (r *Rule) Check(from netip.Addr, code string) error {
	if !r.NeedsCode(from) {
		return nil
	}
	if r.code == "" && r.or == nil {
		return page.ErrClosed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait := r.until.Sub(r.now()); wait > 0 {
		return &account.SlowError{Wait: wait}
	}
	if r.code != "" && code == r.code || r.or != nil && r.or(code) {
		return nil
	}
	if r.wrong++; r.wrong >= 5 {
		r.until = r.now().Add(time.Second << min(r.wrong-4, 9))
	}
	return page.ErrCode
}

// claimBody is what the claim and the join page show beside their form.
type claimBody struct {
	NeedsCode bool
	Wifi      bool // the box has a radio whose network may be chosen
	// Taken is the circle that the box is in already.
	Taken page.ThisBox
}

func (q *request) claimBody() claimBody {
	return claimBody{Wifi: q.cfg.Wifi != nil, NeedsCode: q.cfg.Claim.NeedsCode(q.From()), Taken: q.ThisBox()}
}

func (q *request) claimPage() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	return q.showClaim(q.namedForm())
}

func (q *request) showClaim(f *page.Form) error {
	return q.Show("claim", page.Page{Title: q.Say("claim.title"), Form: f, Body: q.claimBody()})
}

func (q *request) alreadyClaimed() error {
	b := q.ThisBox()
	return q.Show("message", page.Page{Title: q.Say("claimed.title"), Body: page.Message{
		Title: q.Say("claimed.title"), Text: q.Say("claimed.text", "circle", b.Circle, "house", b.House),
		Link: q.Here() + "/login", LinkText: q.Say("claimed.link"),
	}})
}

func (q *request) claim() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	place, person, ok := q.placeAndPerson(f)
	if !f.Needs("circle") || !ok {
		return q.showClaim(f)
	}
	if err := q.cfg.Claim.Check(q.From(), f.Get("code")); err != nil {
		return q.Blamed(f, err, q.showClaim, "code")
	}
	if err := q.cfg.Circle.Found(q.R.Context(), f.Get("circle"), place, person); err != nil {
		return q.Blamed(f, err, q.showClaim, "circle", "house", "box", "login", "password")
	}
	return q.arrive(person)
}

// placeAndPerson reads who somebody is and where the box stands; false when
// something beside a field is wrong.
func (q *request) placeAndPerson(f *page.Form) (circle.Place, circle.Person, bool) {
	person, ok := q.person(f)
	place := circle.Place{House: f.Get("house"), Box: f.Get("box")}
	if place.Box == "" {
		place.Box = place.House // most houses have one
	}
	if !f.Needs("house") {
		return place, person, false
	}
	for field, name := range map[string]string{"house": place.House, "box": place.Box} {
		if roster.CheckName(name) != nil && f.Get(field) != "" {
			f.Wrong(field, "error.name")
			ok = false
		}
	}
	return place, person, ok
}

// person reads who somebody is. Without a login name, one is made of their name.
func (q *request) person(f *page.Form) (circle.Person, bool) {
	p := circle.Person{FullName: f.Get("person"), Login: account.CleanName(f.Get("login")), Password: f.Get("password")}
	if !f.Needs("person", "password") {
		return p, false
	}
	if p.Login == "" {
		p.Login = account.SuggestName(p.FullName)
	}
	if p.Login == "" {
		f.Wrong("login", "need.login")
		return p, false
	}
	if err := account.CheckName(p.Login); err != nil {
		f.Blame(err, "login")
		return p, false
	}
	if err := account.CheckNewPassword(p.Login, p.Password); err != nil {
		f.Blame(err, "password")
		return p, false
	}
	return p, true
}

// arrive logs somebody in who just got an account, and shows the front page. At
// redhen.local it leads to the box's own name, where people log in.
func (q *request) arrive(p circle.Person) error {
	if page.HostOf(q.R.Host) == page.CommonName {
		q.Redirect(q.Here() + "/login")
		return nil
	}
	if err := q.enter(p.Login, p.Password); err != nil {
		q.Redirect("/login")
		return nil
	}
	q.untilKept()
	q.Tell("/", page.Note{Text: q.Say("welcome.done", "name", p.FullName, "login", p.Login)})
	return nil
}

const (
	settleFor   = 5 * time.Second // for a new account's place to be made
	settleEvery = 200 * time.Millisecond
)

// untilKept waits a moment for the place where a new account's files are kept, so that
// the first page they see does not say that nobody knows it.
func (q *request) untilKept() {
	ctx, end := context.WithTimeout(q.R.Context(), settleFor)
	defer end()
	for ctx.Err() == nil {
		r, err := q.cfg.Status.Report(ctx)
		if err != nil {
			return
		}
		if s, ok := spaceNamed(r, q.Who.Name); ok && s.Known {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(settleEvery):
		}
	}
}
