package page

import (
	"context"
	"errors"
	"net/http"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/appliance/drill"
	"redhen/appliance/home"
	"redhen/appliance/space"
	"redhen/appliance/words"
	"redhen/provision/pair"
	"redhen/provision/qr"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// Errors of forms.
var (
	// ErrCode says that the code is wrong, or missing.
	ErrCode = errors.New("pages: wrong claim code")
	// ErrClosed says that the box waits for no one any more until it is plugged in again.
	ErrClosed = errors.New("pages: the time to claim the box is over")
	// ErrTooLarge says that a form is larger than any of ours.
	ErrTooLarge = errors.New("pages: form too large")
)

// Blame returns which field an error is about, and the sentence for it; false
// when the person can do nothing about it.
func Blame(w *words.Words, err error) (field, text string, ok bool) {
	if slow, is := errors.AsType[*account.SlowError](err); is {
		return "password", w.Say("error.slow", "wait", w.Wait(slow.Wait)), true
	}
	if no, is := errors.AsType[*pair.Refusal](err); is {
		return map[pair.Code]string{pair.NameTaken: "box", pair.BadName: "box"}[no.Code], said(w, no), true
	}
	if no, is := errors.AsType[*circle.JoinError](err); is {
		return map[string]string{
			circle.HouseThere: "house", circle.NoHouse: "house", circle.LoginThere: "login", circle.LoginBare: "login",
		}[no.Reason], said(w, no), true
	}
	if no, is := errors.AsType[*circle.RefusedError](err); is {
		key := "error.refused." + string(no.Code)
		if !w.Has(key) {
			key = "error.refused"
		}
		return map[directory.Code]string{directory.NameTaken: "login"}[no.Code], w.Say(key), true
	}
	for _, row := range []struct {
		err   error
		field string
		key   string
	}{
		{account.ErrWrong, "password", "error.wrong"},
		{account.ErrBusy, "password", "error.busy"},
		{account.ErrName, "login", "error.login"},
		{account.ErrReserved, "login", "error.reserved"},
		{account.ErrWeak, "password", "error.weak"},
		{roster.ErrName, "box", "error.name"},
		{roster.ErrNameTaken, "box", "error.name-taken"},
		{ticket.ErrNoTicket, "ticket", "error.no-ticket"},
		{ticket.ErrIncomplete, "ticket", "error.incomplete"},
		{ticket.ErrVersion, "ticket", "error.newer"},
		{qr.ErrNoCode, "photo", "error.no-code"},
		{qr.ErrFormat, "photo", "error.no-picture"},
		{qr.ErrTooLarge, "photo", "error.large-picture"},
		{circle.ErrInCircle, "", "error.in-circle"},
		{circle.ErrNoCircle, "", "error.no-circle"},
		{circle.ErrNoAccount, "login", "error.no-account"},
		{circle.ErrNoBox, "", "error.no-box"},
		{circle.ErrConfirm, "confirm", "error.confirm"},
		{circle.ErrNotKeeper, "", "error.not-keeper"},
		{account.ErrNotKeeper, "", "error.not-keeper"},
		{raftnode.ErrApart, "", "error.apart"},
		{context.DeadlineExceeded, "", "error.apart"},
		{ErrCode, "code", "error.code"},
		{ErrClosed, "code", "error.closed"},
		{ErrTooLarge, "", "error.too-large"},
	} {
		if errors.Is(err, row.err) {
			return row.field, w.Say(row.key), true
		}
	}
	text = said(w, err)
	return "", text, text != ""
}

// said is what an error of the packages below says, empty for one of others.
func said(w *words.Words, err error) string {
	if s, ok := circle.Explain(err); ok {
		return s.Say(w)
	}
	if s, ok := home.Explain(err); ok {
		return circle.Words{Code: s.Code, Sentence: s.Sentence}.Say(w)
	}
	if s, ok := drill.Explain(err); ok {
		return s.Say(w)
	}
	return ""
}

// Why says in words why something did not work, whatever it was.
func (q *Request) Why(err error) string {
	if _, text, ok := Blame(q.Words, err); ok {
		return text
	}
	trouble := space.ExplainIn(q.Words, err)
	if trouble.Status == http.StatusInternalServerError {
		q.Logger.Error("page", "err", err)
	}
	return trouble.String()
}
