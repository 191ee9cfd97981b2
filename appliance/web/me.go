package web

import (
	"net/url"
	"time"

	"redhen/appliance/account"
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
}

type deviceLine struct{ ID, Name, Since string }

func (q *request) mePage() error { return q.showMe(newForm(q.r), "") }

func (q *request) showMe(f *form, which string) error {
	acc, err := q.cfg.Circle.Account(q.who.Name)
	if err != nil {
		return err
	}
	body := meBody{Name: fullName(acc), Login: acc.Name, Address: q.davAddress(), Which: which}
	if body.Copies, err = q.cfg.Circle.Copies(acc.Name); err != nil {
		return err
	}
	for n := range directory.MaxCopies {
		body.Counts = append(body.Counts, n+1)
	}
	if q.keepsThis() {
		body.Box = q.thisBox().Box
	}
	for _, d := range acc.Devices {
		body.Devices = append(body.Devices, deviceLine{d.ID, d.Name, q.when(time.UnixMilli(d.Created))})
	}
	return q.show("me", page{Title: q.say("me.title"), Tab: "me", Form: f, Body: body})
}

func (q *request) davAddress() string { return q.here() + "/dav/" + url.PathEscape(q.who.Name) + "/" }

func (q *request) changePassword() error {
	f, err := q.form()
	if err != nil {
		return err
	}
	again := func(f *form) error { return q.showMe(f, "password") }
	if !f.needs("old-password", "password") {
		return again(f)
	}
	ctx := account.WithSource(q.r.Context(), q.from())
	if err := q.cfg.Circle.SetPassword(ctx, q.who.Name, f.get("old-password"), f.get("password")); err != nil {
		field, text, ok := q.pages.words.blame(err)
		if !ok {
			return err
		}
		if key := "error.old-password"; text == q.say("error.wrong") {
			field, text = "old-password", q.say(key)
		}
		f.Errors[field] = text
		return again(f)
	}
	// All sessions have ended, this one too.
	if err := q.enter(q.who.Name, f.get("password")); err != nil {
		q.redirect("/login")
		return nil
	}
	q.tell("/me", note{Text: q.say("me.password.done")})
	return nil
}

// newDevice is a device password, shown once.
type newDevice struct{ Label, Login, Password, Address, Host string }

func (q *request) addDevice() error {
	f, err := q.form()
	if err != nil {
		return err
	}
	if !f.needs("device") {
		return q.showMe(f, "device")
	}
	_, password, err := q.cfg.Circle.AddDevice(q.r.Context(), q.who.Name, f.get("device"))
	if err != nil {
		again := func(f *form) error { return q.showMe(f, "device") }
		return q.blamed(f, err, again, "device")
	}
	d := newDevice{f.get("device"), q.who.Name, password, q.davAddress(), hostOf(q.here()[len("http://"):])}
	q.redirect("/me/devices/" + q.shelf.put(q.who.Account, d, keptFor))
	return nil
}

func (q *request) devicePage() error {
	d, ok := take[newDevice](q.shelf, q.who.Account, q.r.PathValue("id"))
	if !ok {
		q.redirect("/me")
		return nil
	}
	return q.show("device", page{Title: q.say("device.title"), Tab: "me", Body: d})
}

func (q *request) removeDevice() error {
	f, err := q.form()
	if err != nil {
		return err
	}
	if err := q.cfg.Circle.RemoveDevice(q.r.Context(), q.who.Name, f.get("which")); err != nil {
		return err
	}
	q.tell("/me", note{Text: q.say("me.device.removed")})
	return nil
}
