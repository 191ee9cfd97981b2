package web

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"redhen/appliance/status"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// gigabyte is what people count room in.
const gigabyte = 1_000_000_000

// boxBody is the page of a keeper's own box.
type boxBody struct {
	thisBox
	Used, Given string // Given is in gigabytes, empty for no limit
	Known       bool
	People      []hosted
}

// hosted is somebody whose files the box holds, or does not.
type hosted struct {
	Login, Name string
	Refused     bool
}

// keepsThis reports whether the person keeps the box that answers.
func (q *request) keepsThis() bool {
	r := q.cfg.Circle.Roster()
	if r == nil {
		return false
	}
	own, ok := r.Box(q.cfg.Box)
	return ok && own.Keeper == q.who.Account
}

func (q *request) boxPage() error { return q.showBox(newForm(q.r)) }

func (q *request) showBox(f *form) error {
	if !q.keepsThis() {
		return q.notYourBox()
	}
	wishes, err := q.cfg.Circle.BoxWishes()
	if err != nil {
		return err
	}
	accounts, err := q.cfg.Circle.Accounts()
	if err != nil {
		return err
	}
	body := boxBody{thisBox: q.thisBox()}
	if wishes.Given > 0 {
		body.Given = strconv.FormatFloat(float64(wishes.Given)/gigabyte, 'f', -1, 64)
	}
	for _, a := range accounts {
		if a.ID != q.who.Account {
			body.People = append(body.People, hosted{a.Name, fullName(a), slices.Contains(wishes.Refuses, a.ID)})
		}
	}
	if r, err := q.cfg.Status.Report(q.r.Context()); err == nil {
		for _, h := range r.Houses {
			for _, b := range h.Boxes {
				if b.ID == q.cfg.Box && b.Known {
					body.Used, body.Known = status.Bytes(b.Used), true
				}
			}
		}
	}
	return q.show("mybox", page{Title: q.say("box.title"), Tab: "me", Form: f, Body: body})
}

// notYourBox says whose box this is.
func (q *request) notYourBox() error {
	return q.show("message", page{Title: q.say("box.title"), Tab: "me", Body: message{
		Title: q.say("box.not-yours"), Text: q.say("box.not-yours.text", "box", q.thisBox().Box), Link: "/me", LinkText: q.say("back.me")}})
}

// wishes notes what the keeper decided: room, and whose files are not held.
func (q *request) wishes() error {
	if !q.keepsThis() {
		return q.notYourBox()
	}
	f, err := q.form()
	if err != nil {
		return err
	}
	given, ok := parseRoom(f.get("given"))
	if !ok {
		f.wrong("given", "need.given")
		return q.showBox(f)
	}
	refuses, err := q.refused(q.r.Form["hold"])
	if err != nil {
		return err
	}
	err = q.cfg.Circle.Wish(q.r.Context(), q.who.Account, func(s *directory.BoxSettings) { s.Given, s.Refuses = given, refuses })
	if err != nil {
		return q.blamed(f, err, q.showBox)
	}
	q.tell("/box", note{Text: q.say("box.done")})
	return nil
}

// refused are the accounts whose names were not ticked, but for the keeper's own.
func (q *request) refused(ticked []string) (list []ident.AccountID, err error) {
	accounts, err := q.cfg.Circle.Accounts()
	for _, a := range accounts {
		if a.ID != q.who.Account && !slices.Contains(ticked, a.Name) {
			list = append(list, a.ID)
		}
	}
	return list, err
}

// parseRoom reads gigabytes; nothing, or 0, is no limit.
func parseRoom(s string) (bytes int64, ok bool) {
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > 1e9 {
		return 0, false
	}
	return int64(n * gigabyte), true
}

// setCopies says in how many houses a person wants their files.
func (q *request) setCopies() error {
	f, err := q.form()
	if err != nil {
		return err
	}
	again := func(f *form) error { return q.showMe(f, "copies") }
	n, err := strconv.Atoi(f.get("copies"))
	if err != nil || n < 1 || n > directory.MaxCopies {
		f.wrong("copies", "need.copies")
		return again(f)
	}
	if err := q.cfg.Circle.SetCopies(q.r.Context(), q.who.Name, n); err != nil {
		return q.blamed(f, err, again)
	}
	q.tell("/me", note{Text: q.say("me.copies.done", "n", n)})
	return nil
}
