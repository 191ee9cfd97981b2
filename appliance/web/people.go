package web

import (
	"html/template"
	"net/http"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/appliance/home"
	"redhen/appliance/web/page"
	"redhen/provision/ident"
	"redhen/provision/qr"
	"redhen/raftnode/directory"
)

// circleBody is the page of the people and boxes of a circle.
type circleBody struct {
	People []person
	Houses []houseBoxes
	Keeper bool
	Open   []openInvitation
	// Returns are boxes that were given up and ask to come home.
	Returns []home.Return
	// Naming is set where the circle can have a public name, Domain is the one it has.
	Naming bool
	Domain string
	// Count is how many people there are, and are invited; Most how many there may be.
	Count, Most int
}

type person struct {
	Name, Login, Keeps, InvitedBy string
	You                           bool
}

type houseBoxes struct {
	Name  string
	Boxes []boxLine
}

type boxLine struct {
	Name, Keeper string
	Here         bool // it is this box
	Yours        bool // the person keeps it
}

func (q *request) circlePage() error {
	accounts, err := q.cfg.Circle.Accounts()
	if err != nil {
		return err
	}
	names := page.People(accounts)
	body := circleBody{Keeper: q.IsKeeper()}
	body.Naming, body.Domain = q.cfg.Naming != nil, q.domain()
	if body.Keeper {
		body.Returns = q.cfg.Returns.Returns()
	}
	keeps := map[ident.AccountID]string{}
	r := q.cfg.Circle.Roster()
	for _, h := range r.Houses() {
		line := houseBoxes{Name: h.Name}
		for _, id := range h.Boxes {
			b, _ := r.Box(id)
			line.Boxes = append(line.Boxes, boxLine{b.Name, names[b.Keeper], b.ID == q.cfg.Box, b.Keeper == q.Who.Account})
			if keeps[b.Keeper] != "" {
				keeps[b.Keeper] += ", "
			}
			keeps[b.Keeper] += b.Name
		}
		body.Houses = append(body.Houses, line)
	}
	if body.Open, err = q.openInvitations(); err != nil {
		return err
	}
	body.Count, body.Most = len(accounts)+len(body.Open), circle.MaxPeople
	for _, a := range accounts {
		body.People = append(body.People, person{Name: page.FullName(a), Login: a.Name, Keeps: keeps[a.ID],
			InvitedBy: names[a.InvitedBy], You: a.ID == q.Who.Account})
	}
	return q.Show("circle", page.Page{Title: q.Say("circle.title"), Tab: "circle", Body: body})
}

// domain is the public name of the circle, empty when it has none.
func (q *request) domain() string {
	if q.cfg.Naming == nil {
		return ""
	}
	n, err := q.cfg.Naming.Name()
	if err != nil {
		q.cfg.Logger.Warn("public name", "err", err)
	}
	return n.Domain
}

func (q *request) invitePersonPage() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	return q.showInvitePerson(q.NewForm())
}

func (q *request) showInvitePerson(f *page.Form) error {
	return q.Show("invite-person", page.Page{Title: q.Say("invite.person.title"), Tab: "circle", Form: f})
}

// invitation is what the inviter hands on.
type invitation struct {
	Name, Link, Expires string
	QR                  template.HTML
	Doors               []door // where the same invitation works, too
}

func (q *request) invitePerson() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	if !f.Needs("person") {
		return q.showInvitePerson(f)
	}
	name := f.Get("person")
	inv, err := q.cfg.Circle.InviteAccount(q.R.Context(), q.Who.Account, "", name) // they choose their login name
	if err != nil {
		return q.Blamed(f, err, q.showInvitePerson, "person")
	}
	link := q.Here() + "/welcome/" + inv.Code
	code, err := qr.Draw(link)
	if err != nil {
		return err
	}
	kept := invitation{name, link, q.When(inv.Expires), template.HTML(code.SVG()), q.doors("/welcome/" + inv.Code)}
	q.Redirect("/invite/person/" + q.Shelf.Put(q.Who.Account, kept, inv.Expires.Sub(q.cfg.Now())))
	return nil
}

func (q *request) invitationPage() error {
	inv, ok := page.Take[invitation](q.Shelf, q.Who.Account, q.R.PathValue("id"))
	if !ok {
		q.Redirect("/invite/person")
		return nil
	}
	return q.Show("invitation", page.Page{Title: q.Say("invitation.title", "name", inv.Name), Tab: "circle", Body: inv})
}

// welcomeBody is what an invited person reads before they choose a password.
type welcomeBody struct {
	page.ThisBox
	Code, By string
}

func (q *request) welcomePage() error {
	inv, ok := q.cfg.Circle.Invited(q.R.PathValue("code"))
	if !ok {
		return q.inviteOver()
	}
	f := q.NewForm()
	f.Values["person"], f.Values["login"] = inv.FullName, orElse(inv.Name, account.SuggestName(inv.FullName))
	return q.showWelcome(f, inv)
}

func (q *request) showWelcome(f *page.Form, inv directory.Invite) error {
	body := welcomeBody{ThisBox: q.ThisBox(), Code: q.R.PathValue("code")}
	if accounts, err := q.cfg.Circle.Accounts(); err == nil {
		for _, a := range accounts {
			if a.ID == inv.By {
				body.By = page.FullName(a)
			}
		}
	}
	return q.Show("welcome", page.Page{Title: q.Say("welcome.title", "circle", body.Circle), Form: f, Body: body})
}

func (q *request) inviteOver() error {
	q.W.WriteHeader(http.StatusGone)
	return q.Show("message", page.Page{Title: q.Say("welcome.over"), Body: page.Message{
		Title: q.Say("welcome.over"), Text: q.Say("welcome.over.text"), Link: "/login", LinkText: q.Say("login.title")}})
}

func (q *request) welcome() error {
	inv, ok := q.cfg.Circle.Invited(q.R.PathValue("code"))
	if !ok {
		return q.inviteOver()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	if inv.Name != "" {
		f.Values["login"] = inv.Name // the inviter chose it
	}
	p, ok := q.person(f)
	if !ok {
		return q.showWelcome(f, inv)
	}
	if _, err := q.cfg.Circle.UseInvite(q.R.Context(), q.R.PathValue("code"), circle.Person(p)); err != nil {
		again := func(f *page.Form) error { return q.showWelcome(f, inv) }
		return q.Blamed(f, err, again, "login", "password")
	}
	return q.arrive(p)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// keptFor is how long a shown secret can be looked at again.
const keptFor = 10 * time.Minute
