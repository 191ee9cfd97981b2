package web

import (
	"slices"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/web/page"
	"redhen/raftnode/directory"
)

// resetLife is how long the link to a new password holds.
const resetLife = time.Hour

// forgotBody tells whom to ask.
type forgotBody struct {
	page.ThisBox
	Keepers []keeperLine
}

type keeperLine struct{ Name, Houses string }

func (q *request) forgotPage() error {
	body := forgotBody{ThisBox: q.ThisBox()}
	houses := map[string]string{}
	people := q.people()
	if r := q.cfg.Circle.Roster(); r != nil {
		for _, b := range r.Members() {
			house, _ := r.House(b.House)
			name := people[b.Keeper]
			if houses[name] != "" {
				houses[name] += ", "
			}
			houses[name] += house.Name
		}
	}
	for name, at := range houses {
		body.Keepers = append(body.Keepers, keeperLine{name, at})
	}
	slices.SortFunc(body.Keepers, func(a, b keeperLine) int { return compareNames(a.Name, b.Name) })
	return q.Show("forgot", page.Page{Title: q.Say("forgot.title"), Body: body})
}

// helpBody asks a keeper whether they know somebody who forgot their password.
type helpBody struct {
	Name, Login string
	Keeps       bool // that person keeps a box
}

// helped finds the person that a keeper helps: somebody else.
func (q *request) helped() (acc directory.Account, ok bool) {
	acc, err := q.cfg.Circle.Account(q.R.FormValue("who"))
	return acc, err == nil && acc.ID != q.Who.Account
}

func (q *request) helpPage() error { return q.showHelp(q.NewForm()) }

func (q *request) showHelp(f *page.Form) error {
	acc, ok := q.helped()
	switch {
	case !q.IsKeeper():
		return q.KeepersOnly()
	case !ok:
		q.Redirect("/circle")
		return nil
	}
	body := helpBody{page.FullName(acc), acc.Name, len(acc.KeeperKey) > 0}
	return q.Show("help", page.Page{Title: q.Say("help.title", "name", body.Name), Tab: "circle", Form: f, Body: body})
}

// help makes the link, once the keeper has proved to be at this screen.
func (q *request) help() error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	acc, ok := q.helped()
	if !q.IsKeeper() || !ok || !f.Needs("password") {
		return q.showHelp(f)
	}
	ctx := account.WithSource(q.R.Context(), q.From())
	if _, _, err := q.cfg.Sessions.Login(ctx, q.Who.Name, f.Get("password")); err != nil {
		return q.Blamed(f, err, q.showHelp, "password")
	}
	code, ok := q.passes.issue(pass{purpose: passReset, login: acc.Name, account: acc.ID, by: q.Who.Account}, resetLife)
	if !ok {
		return account.ErrBusy
	}
	shown, err := q.codePage(page.FullName(acc), q.Here()+"/reset/"+code, resetLife)
	if err != nil {
		return err
	}
	q.Redirect("/circle/help/" + q.Shelf.Put(q.Who.Account, shown, resetLife))
	return nil
}

func (q *request) helpLinkPage() error {
	shown, ok := page.Take[codePage](q.Shelf, q.Who.Account, q.R.PathValue("id"))
	if !ok {
		q.Redirect("/circle")
		return nil
	}
	return q.Show("help-link", page.Page{Title: q.Say("help.title", "name", shown.Name), Tab: "circle", Body: shown})
}

// resetBody is where somebody chooses a new password.
type resetBody struct {
	page.ThisBox
	Code, Login string
	Keeps       bool
}

func (q *request) resetPage() error { return q.showReset(q.NewForm()) }

func (q *request) showReset(f *page.Form) error {
	p, ok := q.passes.look(q.R.PathValue("code"), passReset)
	if !ok {
		return q.passOver()
	}
	body := resetBody{ThisBox: q.ThisBox(), Code: q.R.PathValue("code"), Login: p.login}
	if acc, err := q.cfg.Circle.Account(p.login); err == nil {
		body.Keeps = len(acc.KeeperKey) > 0
	}
	return q.Show("reset", page.Page{Title: q.Say("reset.title"), Form: f, Body: body})
}

func (q *request) reset() error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	code := q.R.PathValue("code")
	p, ok := q.passes.look(code, passReset)
	switch {
	case !ok:
		return q.passOver()
	case !f.Needs("password"):
		return q.showReset(f)
	}
	if err := account.CheckNewPassword(p.login, f.Get("password")); err != nil {
		return q.Blamed(f, err, q.showReset, "password")
	}
	if p, ok = q.passes.use(code, passReset); !ok {
		return q.passOver()
	}
	if err := q.cfg.Circle.HelpWithPassword(q.R.Context(), p.login, f.Get("password"), p.by); err != nil {
		return err
	}
	if err := q.enter(p.login, f.Get("password")); err != nil {
		q.Redirect("/login")
		return nil
	}
	q.Tell("/", page.Note{Text: q.Say("reset.done")})
	return nil
}
