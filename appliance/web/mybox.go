package web

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"redhen/appliance/web/page"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// gigabyte is what people count room in.
const gigabyte = 1_000_000_000

// boxBody is the page of a keeper's own box.
type boxBody struct {
	page.ThisBox
	Used, Given string // Given is in gigabytes, empty for no limit
	Known       bool
	Upload      string // in megabits a second, empty for no limit
	From, To    string // when the limit holds, "08:00"; both empty: always
	Wifi        bool   // it has a radio
	People      []hosted
}

// hosted is somebody whose files the box holds, or does not.
type hosted struct {
	Login, Name string
	Refused     bool
}

func (q *request) boxPage() error { return q.showBox(q.NewForm()) }

func (q *request) showBox(f *page.Form) error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	wishes, err := q.cfg.Circle.BoxWishes()
	if err != nil {
		return err
	}
	accounts, err := q.cfg.Circle.Accounts()
	if err != nil {
		return err
	}
	body := boxBody{ThisBox: q.ThisBox(), Wifi: q.cfg.Wifi != nil}
	if wishes.Given > 0 {
		body.Given = strconv.FormatFloat(float64(wishes.Given)/gigabyte, 'f', -1, 64)
	}
	if wishes.UploadKBps > 0 {
		body.Upload = strconv.FormatFloat(math.Round(100*float64(wishes.UploadKBps)/megabit)/100, 'f', -1, 64)
	}
	if wishes.LimitFrom != wishes.LimitTo {
		body.From, body.To = clock(wishes.LimitFrom), clock(wishes.LimitTo)
	}
	for _, a := range accounts {
		if a.ID != q.Who.Account {
			body.People = append(body.People, hosted{a.Name, page.FullName(a), slices.Contains(wishes.Refuses, a.ID)})
		}
	}
	if r, err := q.cfg.Status.Report(q.R.Context()); err == nil {
		for _, h := range r.Houses {
			for _, b := range h.Boxes {
				if b.ID == q.cfg.Box && b.Known {
					body.Used, body.Known = q.Words.Bytes(b.Used), true
				}
			}
		}
	}
	return q.Show("mybox", page.Page{Title: q.Say("box.title"), Tab: "me", Form: f, Body: body})
}

// wishes notes what the keeper decided: room, and whose files are not held.
func (q *request) wishes() error {
	if !q.KeepsThis() {
		return q.NotYourBox()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	given, ok := parseRoom(f.Get("given"))
	if !ok {
		f.Wrong("given", "need.given")
		return q.showBox(f)
	}
	upload, ok := parseUpload(f.Get("upload"))
	if !ok {
		f.Wrong("upload", "need.upload")
		return q.showBox(f)
	}
	from, to, ok := parseHours(f.Get("from"), f.Get("until"))
	if !ok {
		f.Wrong("from", "need.hours")
		return q.showBox(f)
	}
	refuses, err := q.refused(q.R.Form["hold"])
	if err != nil {
		return err
	}
	err = q.cfg.Circle.Wish(q.R.Context(), q.Who.Account, func(s *directory.BoxSettings) {
		s.Given, s.Refuses = given, refuses
		s.UploadKBps, s.LimitFrom, s.LimitTo = upload, from, to
	})
	if err != nil {
		return q.Blamed(f, err, q.showBox)
	}
	q.Tell("/box", page.Note{Text: q.Say("box.done")})
	return nil
}

// refused are the accounts whose names were not ticked, but for the keeper's own.
func (q *request) refused(ticked []string) (list []ident.AccountID, err error) {
	accounts, err := q.cfg.Circle.Accounts()
	for _, a := range accounts {
		if a.ID != q.Who.Account && !slices.Contains(ticked, a.Name) {
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

// megabit is how many units of 1,000 bytes are in one.
const megabit = 125

// minUpload is the least that a box gives of its uplink: with less, no picture arrives.
const minUpload = 0.1 // megabits a second

// parseUpload reads megabits a second; nothing, or 0, is no limit.
func parseUpload(s string) (kbps int64, ok bool) {
	if s == "" || s == "0" {
		return 0, true
	}
	n, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || math.IsNaN(n) || n < minUpload || n > 1e6 {
		return 0, false
	}
	return int64(n * megabit), true
}

// parseHours reads from when to when, in minutes after midnight; two of nothing are always.
func parseHours(from, to string) (a, b int, ok bool) {
	if from == "" && to == "" {
		return 0, 0, true
	}
	var err [2]error
	read := func(s string) (int, error) {
		t, err := time.Parse("15:04", s)
		return t.Hour()*60 + t.Minute(), err
	}
	a, err[0] = read(from)
	b, err[1] = read(to)
	return a, b, err[0] == nil && err[1] == nil
}

// clock writes minutes after midnight.
func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// setCopies says in how many houses a person wants their files.
func (q *request) setCopies() error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return q.showMe(f, "copies") }
	n, err := strconv.Atoi(f.Get("copies"))
	if err != nil || n < 1 || n > directory.MaxCopies {
		f.Wrong("copies", "need.copies")
		return again(f)
	}
	if err := q.cfg.Circle.SetCopies(q.R.Context(), q.Who.Name, n); err != nil {
		return q.Blamed(f, err, again)
	}
	q.Tell("/me", page.Note{Text: q.Say("me.copies.done", "n", n)})
	return nil
}
