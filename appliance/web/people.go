package web

import (
	"html/template"
	"net/http"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
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
	names := map[ident.AccountID]string{}
	for _, a := range accounts {
		names[a.ID] = fullName(a)
	}
	body := circleBody{Keeper: q.isKeeper()}
	keeps := map[ident.AccountID]string{}
	r := q.cfg.Circle.Roster()
	for _, h := range r.Houses() {
		line := houseBoxes{Name: h.Name}
		for _, id := range h.Boxes {
			b, _ := r.Box(id)
			line.Boxes = append(line.Boxes, boxLine{b.Name, names[b.Keeper], b.ID == q.cfg.Box, b.Keeper == q.who.Account})
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
		body.People = append(body.People, person{Name: fullName(a), Login: a.Name, Keeps: keeps[a.ID],
			InvitedBy: names[a.InvitedBy], You: a.ID == q.who.Account})
	}
	return q.show("circle", page{Title: q.say("circle.title"), Tab: "circle", Body: body})
}

func fullName(a directory.Account) string {
	if a.FullName != "" {
		return a.FullName
	}
	return a.Name
}

// keepersOnly tells people without a box whom to ask.
func (q *request) keepersOnly() error {
	return q.show("message", page{Title: q.say("keepers.title"), Tab: "circle", Body: message{
		Title: q.say("keepers.title"), Text: q.say("keepers.text"), Link: "/circle", LinkText: q.say("back.circle")}})
}

func (q *request) invitePersonPage() error {
	if !q.isKeeper() {
		return q.keepersOnly()
	}
	return q.showInvitePerson(newForm(q.r))
}

func (q *request) showInvitePerson(f *form) error {
	return q.show("invite-person", page{Title: q.say("invite.person.title"), Tab: "circle", Form: f})
}

// invitation is what the inviter hands on.
type invitation struct {
	Name, Link, Expires string
	QR                  template.HTML
	Doors               []door // where the same invitation works, too
}

func (q *request) invitePerson() error {
	if !q.isKeeper() {
		return q.keepersOnly()
	}
	f, err := q.form()
	if err != nil {
		return err
	}
	if !f.needs("person") {
		return q.showInvitePerson(f)
	}
	name := f.get("person")
	inv, err := q.cfg.Circle.InviteAccount(q.r.Context(), q.who.Account, "", name) // they choose their login name
	if err != nil {
		return q.blamed(f, err, q.showInvitePerson, "person")
	}
	link := q.here() + "/welcome/" + inv.Code
	code, err := qr.Draw(link)
	if err != nil {
		return err
	}
	kept := invitation{name, link, q.when(inv.Expires), template.HTML(code.SVG()), q.doors("/welcome/" + inv.Code)}
	q.redirect("/invite/person/" + q.shelf.put(q.who.Account, kept, inv.Expires.Sub(q.cfg.Now())))
	return nil
}

func (q *request) invitationPage() error {
	inv, ok := take[invitation](q.shelf, q.who.Account, q.r.PathValue("id"))
	if !ok {
		q.redirect("/invite/person")
		return nil
	}
	return q.show("invitation", page{Title: q.say("invitation.title", "name", inv.Name), Tab: "circle", Body: inv})
}

// welcomeBody is what an invited person reads before they choose a password.
type welcomeBody struct {
	thisBox
	Code, By string
}

func (q *request) welcomePage() error {
	inv, ok := q.cfg.Circle.Invited(q.r.PathValue("code"))
	if !ok {
		return q.inviteOver()
	}
	f := newForm(q.r)
	f.values["person"], f.values["login"] = inv.FullName, orElse(inv.Name, account.SuggestName(inv.FullName))
	return q.showWelcome(f, inv)
}

func (q *request) showWelcome(f *form, inv directory.Invite) error {
	body := welcomeBody{thisBox: q.thisBox(), Code: q.r.PathValue("code")}
	if accounts, err := q.cfg.Circle.Accounts(); err == nil {
		for _, a := range accounts {
			if a.ID == inv.By {
				body.By = fullName(a)
			}
		}
	}
	return q.show("welcome", page{Title: q.say("welcome.title", "circle", body.Circle), Form: f, Body: body})
}

func (q *request) inviteOver() error {
	q.w.WriteHeader(http.StatusGone)
	return q.show("message", page{Title: q.say("welcome.over"), Body: message{
		Title: q.say("welcome.over"), Text: q.say("welcome.over.text"), Link: "/login", LinkText: q.say("login.title")}})
}

func (q *request) welcome() error {
	inv, ok := q.cfg.Circle.Invited(q.r.PathValue("code"))
	if !ok {
		return q.inviteOver()
	}
	f, err := q.form()
	if err != nil {
		return err
	}
	if inv.Name != "" {
		f.values["login"] = inv.Name // the inviter chose it
	}
	p, ok := q.person(f)
	if !ok {
		return q.showWelcome(f, inv)
	}
	if _, err := q.cfg.Circle.UseInvite(q.r.Context(), q.r.PathValue("code"), circle.Person(p)); err != nil {
		again := func(f *form) error { return q.showWelcome(f, inv) }
		return q.blamed(f, err, again, "login", "password")
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
