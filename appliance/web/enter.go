package web

import (
	"html/template"
	"net/http"
	"time"

	"redhen/provision/qr"
)

// enterLife is how long the code for one more phone holds.
const enterLife = 5 * time.Minute

// codePage is a page with a link as a code, shown to its maker.
type codePage struct {
	Name, Link, Until string
	QR                template.HTML
}

func (q *request) codePage(name, link string, life time.Duration) (codePage, error) {
	code, err := qr.Draw(link)
	if err != nil {
		return codePage{}, err
	}
	return codePage{name, link, q.when(q.cfg.Now().Add(life)), template.HTML(code.SVG())}, nil
}

// another makes a code by which this person logs in on one more phone or computer.
func (q *request) another() error {
	code, ok := q.passes.issue(pass{purpose: passEnter, login: q.who.Name, account: q.who.Account}, enterLife)
	if !ok {
		q.tell("/me", note{Text: q.say("error.busy"), Bad: true})
		return nil
	}
	shown, err := q.codePage(q.who.Name, q.here()+"/enter/"+code, enterLife)
	if err != nil {
		return err
	}
	q.redirect("/me/another/" + q.shelf.put(q.who.Account, shown, enterLife))
	return nil
}

func (q *request) anotherPage() error {
	shown, ok := take[codePage](q.shelf, q.who.Account, q.r.PathValue("id"))
	if !ok {
		q.redirect("/me")
		return nil
	}
	return q.show("another", page{Title: q.say("another.title"), Tab: "me", Body: shown})
}

// enterBody asks before somebody is logged in: a link alone does nothing.
type enterBody struct {
	thisBox
	Code, Name string
}

func (q *request) enterPage() error {
	p, ok := q.passes.look(q.r.PathValue("code"), passEnter)
	if !ok {
		return q.passOver()
	}
	name := p.login
	if acc, err := q.cfg.Circle.Account(p.login); err == nil {
		name = fullName(acc)
	}
	return q.show("enter", page{Title: q.say("enter.title"), Body: enterBody{q.thisBox(), q.r.PathValue("code"), name}})
}

func (q *request) enterByCode() error {
	p, ok := q.passes.use(q.r.PathValue("code"), passEnter)
	if !ok {
		return q.passOver()
	}
	token, s, err := q.cfg.Sessions.Issue(p.account)
	if err != nil {
		return err
	}
	q.setCookie(token, s)
	q.redirect("/")
	return nil
}

func (q *request) passOver() error {
	q.w.WriteHeader(http.StatusGone)
	return q.show("message", page{Title: q.say("pass.over"), Body: message{
		Title: q.say("pass.over"), Text: q.say("pass.over.text"), Link: "/login", LinkText: q.say("login.title")}})
}
