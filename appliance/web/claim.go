package web

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/provision/roster"
)

// Errors of claiming a fresh box.
var (
	// ErrCode says that the code is wrong, or missing.
	ErrCode = errors.New("web: wrong claim code")
	// ErrClosed says that the box waits for no one any more until it is plugged in again.
	ErrClosed = errors.New("web: the time to claim the box is over")
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
		return ErrClosed
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
	return ErrCode
}

// claimBody is what the claim and the join page show beside their form.
type claimBody struct {
	NeedsCode bool
	// Taken is the circle that the box is in already.
	Taken thisBox
}

func (q *request) claimBody() claimBody {
	return claimBody{NeedsCode: q.cfg.Claim.NeedsCode(q.from()), Taken: q.thisBox()}
}

func (q *request) claimPage() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	return q.showClaim(q.namedForm())
}

func (q *request) showClaim(f *form) error {
	return q.show("claim", page{Title: q.say("claim.title"), Form: f, Body: q.claimBody()})
}

func (q *request) alreadyClaimed() error {
	b := q.thisBox()
	return q.show("message", page{Title: q.say("claimed.title"), Body: message{
		Title: q.say("claimed.title"), Text: q.say("claimed.text", "circle", b.Circle, "house", b.House),
		Link: q.here() + "/login", LinkText: q.say("claimed.link"),
	}})
}

func (q *request) claim() error {
	if q.cfg.Circle.Claimed() {
		return q.alreadyClaimed()
	}
	f, err := q.form()
	if err != nil {
		return err
	}
	place, person, ok := q.placeAndPerson(f)
	if !f.needs("circle") || !ok {
		return q.showClaim(f)
	}
	if err := q.cfg.Claim.Check(q.from(), f.get("code")); err != nil {
		return q.blamed(f, err, q.showClaim, "code")
	}
	if err := q.cfg.Circle.Found(q.r.Context(), f.get("circle"), place, person); err != nil {
		return q.blamed(f, err, q.showClaim, "circle", "house", "box", "login", "password")
	}
	return q.arrive(person)
}

// blamed shows the form again with the sentence for err, or returns err.
func (q *request) blamed(f *form, err error, show func(*form) error, fields ...string) error {
	if !f.blame(err, fields...) {
		return err
	}
	return show(f)
}

// placeAndPerson reads who somebody is and where the box stands; false when
// something beside a field is wrong.
func (q *request) placeAndPerson(f *form) (circle.Place, circle.Person, bool) {
	person, ok := q.person(f)
	place := circle.Place{House: f.get("house"), Box: f.get("box")}
	if place.Box == "" {
		place.Box = place.House // most houses have one
	}
	if !f.needs("house") {
		return place, person, false
	}
	for field, name := range map[string]string{"house": place.House, "box": place.Box} {
		if roster.CheckName(name) != nil && f.get(field) != "" {
			f.wrong(field, "error.name")
			ok = false
		}
	}
	return place, person, ok
}

// person reads who somebody is. Without a login name, one is made of their name.
func (q *request) person(f *form) (circle.Person, bool) {
	p := circle.Person{FullName: f.get("person"), Login: account.CleanName(f.get("login")), Password: f.get("password")}
	if !f.needs("person", "password") {
		return p, false
	}
	if p.Login == "" {
		p.Login = account.SuggestName(p.FullName)
	}
	if p.Login == "" {
		f.wrong("login", "need.login")
		return p, false
	}
	if err := account.CheckName(p.Login); err != nil {
		f.blame(err, "login")
		return p, false
	}
	if err := account.CheckNewPassword(p.Login, p.Password); err != nil {
		f.blame(err, "password")
		return p, false
	}
	return p, true
}

// arrive logs somebody in who just got an account, and shows the front page. At
// redhen.local it leads to the box's own name, where people log in.
func (q *request) arrive(p circle.Person) error {
	if hostOf(q.r.Host) == commonName {
		q.redirect(q.here() + "/login")
		return nil
	}
	if err := q.enter(p.Login, p.Password); err != nil {
		q.redirect("/login")
		return nil
	}
	q.tell("/", note{Text: q.say("welcome.done", "name", p.FullName, "login", p.Login)})
	return nil
}
