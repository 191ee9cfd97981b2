package web

import (
	"slices"
	"time"

	"redhen/appliance/account"
	"redhen/raftnode/directory"
)

// resetLife is how long the link to a new password holds.
const resetLife = time.Hour

// forgotBody tells whom to ask.
type forgotBody struct {
	thisBox
	Keepers []keeperLine
}

type keeperLine struct{ Name, Houses string }

func (q *request) forgotPage() error {
	body := forgotBody{thisBox: q.thisBox()}
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
	return q.show("forgot", page{Title: q.say("forgot.title"), Body: body})
}

// helpBody asks a keeper whether they know somebody who forgot their password.
type helpBody struct {
	Name, Login string
	Keeps       bool // that person keeps a box
}

// helped finds the person that a keeper helps: somebody else.
func (q *request) helped() (acc directory.Account, ok bool) {
	acc, err := q.cfg.Circle.Account(q.r.FormValue("who"))
	return acc, err == nil && acc.ID != q.who.Account
}

func (q *request) helpPage() error { return q.showHelp(newForm(q.r)) }

func (q *request) showHelp(f *form) error {
	acc, ok := q.helped()
	switch {
	case !q.isKeeper():
		return q.keepersOnly()
	case !ok:
		q.redirect("/circle")
		return nil
	}
	body := helpBody{fullName(acc), acc.Name, len(acc.KeeperKey) > 0}
	return q.show("help", page{Title: q.say("help.title", "name", body.Name), Tab: "circle", Form: f, Body: body})
}

// help makes the link, once the keeper has proved to be at this screen.
func (q *request) help() error {
	f, err := q.form()
	if err != nil {
		return err
	}
	acc, ok := q.helped()
	if !q.isKeeper() || !ok || !f.needs("password") {
		return q.showHelp(f)
	}
	ctx := account.WithSource(q.r.Context(), q.from())
	if _, _, err := q.cfg.Sessions.Login(ctx, q.who.Name, f.get("password")); err != nil {
		return q.blamed(f, err, q.showHelp, "password")
	}
	code, ok := q.passes.issue(pass{purpose: passReset, login: acc.Name, account: acc.ID, by: q.who.Account}, resetLife)
	if !ok {
		return account.ErrBusy
	}
	shown, err := q.codePage(fullName(acc), q.here()+"/reset/"+code, resetLife)
	if err != nil {
		return err
	}
	q.redirect("/circle/help/" + q.shelf.put(q.who.Account, shown, resetLife))
	return nil
}

func (q *request) helpLinkPage() error {
	shown, ok := take[codePage](q.shelf, q.who.Account, q.r.PathValue("id"))
	if !ok {
		q.redirect("/circle")
		return nil
	}
	return q.show("help-link", page{Title: q.say("help.title", "name", shown.Name), Tab: "circle", Body: shown})
}

// resetBody is where somebody chooses a new password.
type resetBody struct {
	thisBox
	Code, Login string
	Keeps       bool
}

func (q *request) resetPage() error { return q.showReset(newForm(q.r)) }

func (q *request) showReset(f *form) error {
	p, ok := q.passes.look(q.r.PathValue("code"), passReset)
	if !ok {
		return q.passOver()
	}
	body := resetBody{thisBox: q.thisBox(), Code: q.r.PathValue("code"), Login: p.login}
	if acc, err := q.cfg.Circle.Account(p.login); err == nil {
		body.Keeps = len(acc.KeeperKey) > 0
	}
	return q.show("reset", page{Title: q.say("reset.title"), Form: f, Body: body})
}

func (q *request) reset() error {
	f, err := q.form()
	if err != nil {
		return err
	}
	code := q.r.PathValue("code")
	p, ok := q.passes.look(code, passReset)
	switch {
	case !ok:
		return q.passOver()
	case !f.needs("password"):
		return q.showReset(f)
	}
	if err := account.CheckNewPassword(p.login, f.get("password")); err != nil {
		return q.blamed(f, err, q.showReset, "password")
	}
	if p, ok = q.passes.use(code, passReset); !ok {
		return q.passOver()
	}
	if err := q.cfg.Circle.HelpWithPassword(q.r.Context(), p.login, f.get("password"), p.by); err != nil {
		return err
	}
	if err := q.enter(p.login, f.get("password")); err != nil {
		q.redirect("/login")
		return nil
	}
	q.tell("/", note{Text: q.say("reset.done")})
	return nil
}
