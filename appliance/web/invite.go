package web

import (
	"errors"
	"html/template"
	"time"

	"redhen/appliance/web/page"
	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/qr"
)

// inviteBody is the page from which a friend's box is invited.
type inviteBody struct {
	Open    []openTicket
	Waiting []caller
}

type openTicket struct{ ID, Until string }

func (q *request) inviteBoxPage() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	waiting, err := q.callers()
	if err != nil {
		return err
	}
	body := inviteBody{Waiting: waiting}
	for _, t := range q.cfg.Desk.Tickets() {
		if t.State == pair.Open && t.Expires.After(q.cfg.Now()) {
			body.Open = append(body.Open, openTicket{t.ID, q.When(t.Expires)})
		}
	}
	return q.Show("invite-box", page.Page{Title: q.Say("invite.box.title"), Tab: "circle", Body: body, Live: true})
}

// shownTicket is an invite that this person made.
type shownTicket struct {
	ID, Link, Text, Until string
	QR                    template.HTML
	Expires               time.Time
}

func (q *request) inviteBox() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	t, err := q.cfg.Circle.InviteBox(0)
	if err != nil {
		return err
	}
	code, err := qr.Draw(t.Link())
	if err != nil {
		return err
	}
	until := q.cfg.Now().Add(pair.ScreenTTL)
	shown := shownTicket{ID: t.ID(), Link: t.Link(), Text: t.Text(), Until: until.Format("15:04"), Expires: until, QR: template.HTML(code.SVG())}
	q.Redirect("/invite/box/" + q.Shelf.Put(q.Who.Account, shown, pair.ScreenTTL))
	return nil
}

// ticketBody is an invite with the boxes that wait.
type ticketBody struct {
	shownTicket
	Waiting []caller
	Fresh   []string // pages of boxes here that belong to nobody yet
}

func (q *request) ticketPage() error {
	t, ok := page.Take[shownTicket](q.Shelf, q.Who.Account, q.R.PathValue("id"))
	if !ok {
		q.Redirect("/invite/box")
		return nil
	}
	waiting, err := q.callers()
	if err != nil {
		return err
	}
	return q.Show("ticket", page.Page{Title: q.Say("invite.box.title"), Tab: "circle", Body: ticketBody{t, waiting, q.freshBoxes()}, Live: true})
}

func (q *request) liveWaiting() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		waiting, err := q.callers()
		if err != nil {
			return "", nil, err
		}
		html, err := q.Part("ticket", "waiting", waiting)
		return html, nil, err
	})
}

// answerBox lets a waiting box in, or does not.
func (q *request) answerBox() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	box := ident.BoxID(f.Get("which"))
	name := string(box)
	for _, p := range q.cfg.Desk.Pending() {
		if p.Box == box {
			name = p.Application.BoxName
		}
	}
	if f.Get("say") == "yes" {
		err = q.cfg.Desk.Approve(q.R.Context(), box)
	} else {
		err = q.cfg.Desk.Reject(box)
	}
	if errors.Is(err, pair.ErrNotPending) {
		q.Tell("/invite/box", page.Note{Text: q.Say("answer.gone"), Bad: true})
		return nil
	}
	if err != nil {
		_, text, ok := page.Blame(q.Words, err)
		if !ok {
			q.cfg.Logger.Error("answer a box", "box", box.Short(), "err", err)
			text = q.Say("answer.failed")
		}
		q.Tell("/invite/box", page.Note{Text: text, Bad: true})
		return nil
	}
	if f.Get("say") == "yes" {
		q.Tell("/", page.Note{Text: q.Say("answer.yes", "box", name)})
		return nil
	}
	q.Tell("/invite/box", page.Note{Text: q.Say("answer.no", "box", name)})
	return nil
}

func (q *request) revokeTicket() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	if err := q.cfg.Desk.Revoke(f.Get("ticket")); err != nil && !errors.Is(err, pair.ErrNoTicket) {
		return err
	}
	q.Tell("/invite/box", page.Note{Text: q.Say("invite.revoked")})
	return nil
}
