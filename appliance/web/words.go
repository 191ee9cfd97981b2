package web

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/circle"
	"redhen/provision/pair"
	"redhen/provision/qr"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/raftnode/directory"
)

//go:embed words/en.txt
var english string

// words are all texts of the pages in one language, by key.
type words map[string]string

// parseWords reads lines of "key = text"; # begins a comment.
func parseWords(file string) (words, error) {
	w := words{}
	for i, line := range strings.Split(file, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, text, ok := strings.Cut(line, " = ")
		if _, twice := w[key]; !ok || twice {
			return nil, fmt.Errorf("words, line %d: %q", i+1, line)
		}
		w[key] = text
	}
	return w, nil
}

func (w words) has(key string) bool { _, ok := w[key]; return ok }

// say returns a text with its {names} filled in from pairs of name and value. With
// an n among them, "key.one" is taken for 1 and "key" for all others.
func (w words) say(key string, pairs ...any) string {
	var fill []string
	for i := 0; i+1 < len(pairs); i += 2 {
		name := fmt.Sprint(pairs[i])
		if one := key + ".one"; name == "n" && fmt.Sprint(pairs[i+1]) == "1" && w.has(one) {
			key = one
		}
		fill = append(fill, "{"+name+"}", fmt.Sprint(pairs[i+1]))
	}
	text, ok := w[key]
	if !ok {
		return key
	}
	return strings.NewReplacer(fill...).Replace(text)
}

func (q *request) say(key string, pairs ...any) string { return q.pages.words.say(key, pairs...) }

// blame returns which field an error is about, and the sentence for it; false
// when the person can do nothing about it.
func (w words) blame(err error) (field, text string, ok bool) {
	if slow, is := errors.AsType[*account.SlowError](err); is {
		return "password", w.say("error.slow", "wait", w.wait(slow.Wait)), true
	}
	if no, is := errors.AsType[*pair.Refusal](err); is {
		return map[pair.Code]string{pair.NameTaken: "box", pair.BadName: "box"}[no.Code], no.Sentence(), true
	}
	if no, is := errors.AsType[*circle.JoinError](err); is {
		said, _ := circle.Explain(no)
		return map[string]string{
			circle.HouseThere: "house", circle.NoHouse: "house", circle.LoginThere: "login", circle.LoginBare: "login",
		}[no.Reason], said.Sentence, true
	}
	if no, is := errors.AsType[*circle.RefusedError](err); is {
		key := "error.refused." + string(no.Code)
		if !w.has(key) {
			key = "error.refused"
		}
		return map[directory.Code]string{directory.NameTaken: "login"}[no.Code], w.say(key), true
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
		{circle.ErrNotKeeper, "", "error.not-keeper"},
		{account.ErrNotKeeper, "", "error.not-keeper"},
		{ErrCode, "code", "error.code"},
		{ErrClosed, "code", "error.closed"},
		{errTooLarge, "", "error.too-large"},
	} {
		if errors.Is(err, row.err) {
			return row.field, w.say(row.key), true
		}
	}
	return "", "", false
}

// wait tells a short time.
func (w words) wait(d time.Duration) string {
	if d <= 90*time.Second {
		return w.say("seconds", "n", max(1, int((d+time.Second-1)/time.Second)))
	}
	return w.say("minutes", "n", int((d+time.Minute-1)/time.Minute))
}
