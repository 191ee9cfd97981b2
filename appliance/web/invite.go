package web

import (
	"errors"
	"html/template"
	"time"

	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/qr"
)

// inviteBody is the page from which a friend's box is invited.
type inviteBody struct {
	Open    []openTicket
	Waiting []pair.Pending
}

type openTicket struct{ ID, Until string }

func (q *request) inviteBoxPage() error {
	if !q.isKeeper() {
		return q.keepersOnly()
	}
	body := inviteBody{Waiting: q.cfg.Desk.Pending()}
	for _, t := range q.cfg.Desk.Tickets() {
		if t.State == pair.Open && t.Expires.After(q.cfg.Now()) {
			body.Open = append(body.Open, openTicket{t.ID, q.when(t.Expires)})
		}
	}
	return q.show("invite-box", page{Title: q.say("invite.box.title"), Tab: "circle", Body: body, Live: true})
}

// shownTicket is an invite that this person made.
type shownTicket struct {
	ID, Link, Text, Until string
	QR                    template.HTML
	Expires               time.Time
}

func (q *request) inviteBox() error {
	if !q.isKeeper() {
		return q.keepersOnly()
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
	q.redirect("/invite/box/" + q.shelf.put(q.who.Account, shown, pair.ScreenTTL))
	return nil
}

// ticketBody is an invite with the boxes that wait.
type ticketBody struct {
	shownTicket
	Waiting []pair.Pending
}

func (q *request) ticketPage() error {
	t, ok := take[shownTicket](q.shelf, q.who.Account, q.r.PathValue("id"))
	if !ok {
		q.redirect("/invite/box")
		return nil
	}
	return q.show("ticket", page{Title: q.say("invite.box.title"), Tab: "circle", Body: ticketBody{t, q.cfg.Desk.Pending()}, Live: true})
}

func (q *request) liveWaiting() error {
	if !q.isKeeper() {
		return q.keepersOnly()
	}
	return q.keepUpToDate(func() (string, <-chan struct{}, error) {
		html, err := q.part("ticket", "waiting", q.cfg.Desk.Pending())
		return html, nil, err
	})
}

// answerBox lets a waiting box in, or does not.
func (q *request) answerBox() error {
	if !q.isKeeper() {
		return q.keepersOnly()
	}
	f, err := q.form()
	if err != nil {
		return err
	}
	box := ident.BoxID(f.get("which"))
	name := string(box)
	for _, p := range q.cfg.Desk.Pending() {
		if p.Box == box {
			name = p.Application.BoxName
		}
	}
	if f.get("say") == "yes" {
		err = q.cfg.Desk.Approve(q.r.Context(), box)
	} else {
		err = q.cfg.Desk.Reject(box)
	}
	if errors.Is(err, pair.ErrNotPending) {
		q.tell("/invite/box", note{Text: q.say("answer.gone"), Bad: true})
		return nil
	}
	if err != nil {
		_, text, ok := q.pages.words.blame(err)
		if !ok {
			q.cfg.Logger.Error("answer a box", "box", box.Short(), "err", err)
			text = q.say("answer.failed")
		}
		q.tell("/invite/box", note{Text: text, Bad: true})
		return nil
	}
	if f.get("say") == "yes" {
		q.tell("/", note{Text: q.say("answer.yes", "box", name)})
		return nil
	}
	q.tell("/invite/box", note{Text: q.say("answer.no", "box", name)})
	return nil
}

func (q *request) revokeTicket() error {
	if !q.isKeeper() {
		return q.keepersOnly()
	}
	f, err := q.form()
	if err != nil {
		return err
	}
	if err := q.cfg.Desk.Revoke(f.get("ticket")); err != nil && !errors.Is(err, pair.ErrNoTicket) {
		return err
	}
	q.tell("/invite/box", note{Text: q.say("invite.revoked")})
	return nil
}
