package web

import (
	"html/template"
	"net/http"
	"time"

	"redhen/appliance/web/page"
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
	return codePage{name, link, q.When(q.cfg.Now().Add(life)), template.HTML(code.SVG())}, nil
}

// another makes a code by which this person logs in on one more phone or computer.
func (q *request) another() error {
	code, ok := q.passes.issue(pass{purpose: passEnter, login: q.Who.Name, account: q.Who.Account}, enterLife)
	if !ok {
		q.Tell("/me", page.Note{Text: q.Say("error.busy"), Bad: true})
		return nil
	}
	shown, err := q.codePage(q.Who.Name, q.Here()+"/enter/"+code, enterLife)
	if err != nil {
		return err
	}
	q.Redirect("/me/another/" + q.Shelf.Put(q.Who.Account, shown, enterLife))
	return nil
}

func (q *request) anotherPage() error {
	shown, ok := page.Take[codePage](q.Shelf, q.Who.Account, q.R.PathValue("id"))
	if !ok {
		q.Redirect("/me")
		return nil
	}
	return q.Show("another", page.Page{Title: q.Say("another.title"), Tab: "me", Body: shown})
}

// enterBody asks before somebody is logged in: a link alone does nothing.
type enterBody struct {
	page.ThisBox
	Code, Name string
}

func (q *request) enterPage() error {
	p, ok := q.passes.look(q.R.PathValue("code"), passEnter)
	if !ok {
		return q.passOver()
	}
	name := p.login
	if acc, err := q.cfg.Circle.Account(p.login); err == nil {
		name = page.FullName(acc)
	}
	return q.Show("enter", page.Page{Title: q.Say("enter.title"), Body: enterBody{q.ThisBox(), q.R.PathValue("code"), name}})
}

func (q *request) enterByCode() error {
	p, ok := q.passes.use(q.R.PathValue("code"), passEnter)
	if !ok {
		return q.passOver()
	}
	token, _, err := q.cfg.Sessions.Issue(p.account)
	if err != nil {
		return err
	}
	q.setCookie(q.Request, token)
	q.Redirect("/")
	return nil
}

func (q *request) passOver() error {
	q.W.WriteHeader(http.StatusGone)
	return q.Show("message", page.Page{Title: q.Say("pass.over"), Body: page.Message{
		Title: q.Say("pass.over"), Text: q.Say("pass.over.text"), Link: "/login", LinkText: q.Say("login.title")}})
}
