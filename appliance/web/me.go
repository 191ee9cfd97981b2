package web

import (
	"net/url"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/web/page"
	"redhen/raftnode/directory"
)

// meBody is the page of one's own account.
type meBody struct {
	Name, Login string
	Devices     []deviceLine
	Address     string
	// Which form has something wrong: "device", "password" or "copies".
	Which  string
	Copies int
	Counts []int  // of copies that can be chosen
	Box    string // the box that answers, when the person keeps it
	// Passkeys is where they are added, empty while the circle has no public name.
	Passkeys string
}

type deviceLine struct{ ID, Name, Since string }

func (q *request) mePage() error { return q.showMe(q.NewForm(), "") }

func (q *request) showMe(f *page.Form, which string) error {
	acc, err := q.cfg.Circle.Account(q.Who.Name)
	if err != nil {
		return err
	}
	body := meBody{Name: page.FullName(acc), Login: acc.Name, Address: q.davAddress(), Which: which}
	if body.Copies, err = q.cfg.Circle.Copies(acc.Name); err != nil {
		return err
	}
	if name := q.domain(); name != "" {
		body.Passkeys = "https://" + name + "/passkey"
	}
	for n := range directory.MaxCopies {
		body.Counts = append(body.Counts, n+1)
	}
	if q.KeepsThis() {
		body.Box = q.ThisBox().Box
	}
	for _, d := range acc.Devices {
		body.Devices = append(body.Devices, deviceLine{d.ID, d.Name, q.When(time.UnixMilli(d.Created))})
	}
	return q.Show("me", page.Page{Title: q.Say("me.title"), Tab: "me", Form: f, Body: body})
}

func (q *request) davAddress() string { return q.Here() + "/dav/" + url.PathEscape(q.Who.Name) + "/" }

func (q *request) changePassword() error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	again := func(f *page.Form) error { return q.showMe(f, "password") }
	if !f.Needs("old-password", "password") {
		return again(f)
	}
	ctx := account.WithSource(q.R.Context(), q.From())
	if err := q.cfg.Circle.SetPassword(ctx, q.Who.Name, f.Get("old-password"), f.Get("password")); err != nil {
		field, text, ok := page.Blame(q.Words, err)
		if !ok {
			return err
		}
		if key := "error.old-password"; text == q.Say("error.wrong") {
			field, text = "old-password", q.Say(key)
		}
		f.Errors[field] = text
		return again(f)
	}
	// All sessions have ended, this one too.
	if err := q.enter(q.Who.Name, f.Get("password")); err != nil {
		q.Redirect("/login")
		return nil
	}
	q.Tell("/me", page.Note{Text: q.Say("me.password.done")})
	return nil
}

// newDevice is a device password, shown once.
type newDevice struct{ Label, Login, Password, Address, Host string }

func (q *request) addDevice() error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	if !f.Needs("device") {
		return q.showMe(f, "device")
	}
	_, password, err := q.cfg.Circle.AddDevice(q.R.Context(), q.Who.Name, f.Get("device"))
	if err != nil {
		again := func(f *page.Form) error { return q.showMe(f, "device") }
		return q.Blamed(f, err, again, "device")
	}
	d := newDevice{f.Get("device"), q.Who.Name, password, q.davAddress(), page.HostOf(q.Here()[len("http://"):])}
	q.Redirect("/me/devices/" + q.Shelf.Put(q.Who.Account, d, keptFor))
	return nil
}

func (q *request) devicePage() error {
	d, ok := page.Take[newDevice](q.Shelf, q.Who.Account, q.R.PathValue("id"))
	if !ok {
		q.Redirect("/me")
		return nil
	}
	return q.Show("device", page.Page{Title: q.Say("device.title"), Tab: "me", Body: d})
}

func (q *request) removeDevice() error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	if err := q.cfg.Circle.RemoveDevice(q.R.Context(), q.Who.Name, f.Get("which")); err != nil {
		return err
	}
	q.Tell("/me", page.Note{Text: q.Say("me.device.removed")})
	return nil
}
