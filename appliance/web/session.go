package web

import (
	"net/http"

	"redhen/appliance/account"
	"redhen/appliance/firstboot"
	"redhen/appliance/web/page"
)

const sessionCookie = "redhen_session"

// session returns whose request this is. At redhen.local nobody is logged in.
func (s *Server) session(q *page.Request) (who account.Session, ok bool) {
	c, err := q.R.Cookie(sessionCookie)
	if err != nil || page.HostOf(q.R.Host) == page.CommonName {
		return account.Session{}, false
	}
	if who, err = s.cfg.Sessions.Verify(c.Value); err != nil || who.Host != page.HostOf(q.R.Host) {
		return account.Session{}, false
	}
	if who.Renew && q.R.Method == http.MethodGet {
		if token, fresh, err := s.cfg.Sessions.Renew(c.Value); err == nil {
			s.setCookie(q, token)
			who = fresh
		}
	}
	return who, true
}

// setCookie has the browser show a session at this host name, and nowhere else.
func (s *Server) setCookie(q *page.Request, token string) {
	host := page.HostOf(q.R.Host)
	if host == page.CommonName {
		return
	}
	bound, who, err := s.cfg.Sessions.Bind(token, host)
	if err != nil {
		s.cfg.Logger.Warn("session", "err", err) // revoked in this moment: the next page asks for the password
		return
	}
	http.SetCookie(q.W, &http.Cookie{
		Name: sessionCookie, Value: bound, Path: "/", MaxAge: who.MaxAge(),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: q.R.TLS != nil,
	})
}

func (q *request) loginPage() error {
	if !q.cfg.Circle.Claimed() {
		q.Redirect("/claim")
		return nil
	}
	if q.Who.Account != "" {
		q.Redirect(page.LocalPath(q.R.FormValue("to")))
		return nil
	}
	return q.showLogin(q.NewForm())
}

// loginBody is the box, whether its card asks for a new password, and whether passkeys
// work here: they belong to the circle's public name.
type loginBody struct {
	page.ThisBox
	Reset, Passkeys bool
}

func (q *request) showLogin(f *page.Form) error {
	body := loginBody{ThisBox: q.ThisBox(), Reset: q.start().Doing == firstboot.AskReset, Passkeys: q.R.TLS != nil && q.domain() != ""}
	return q.Show("login", page.Page{Title: q.Say("login.title"), Form: f, Body: body})
}

func (q *request) login() error {
	f, err := q.Form()
	if err != nil {
		return err
	}
	if !f.Needs("login", "password") {
		return q.showLogin(f)
	}
	login := account.CleanName(f.Get("login"))
	if err := q.enter(login, f.Get("password")); err != nil {
		if _, unknown := q.cfg.Circle.Account(login); unknown == nil {
			q.guesses.count(login, err)
		}
		if !f.Blame(err, "login", "password") {
			return err
		}
		return q.showLogin(f)
	}
	if was, tell := q.guesses.take(login); tell {
		q.Tell(page.LocalPath(f.Get("to")), page.Note{Bad: true, Text: q.Say("guessed", "n", was.wrong, "since", q.When(was.since)), Lines: []string{q.Say("guessed.do")}})
		return nil
	}
	q.Redirect(page.LocalPath(f.Get("to")))
	return nil
}

// enter logs a person in; the answer carries the cookie.
func (q *request) enter(login, password string) error {
	ctx := account.WithSource(q.R.Context(), q.From())
	token, s, err := q.cfg.Sessions.Login(ctx, account.CleanName(login), password)
	if err == nil {
		q.setCookie(q.Request, token)
		q.Who = s
	}
	return err
}

func (q *request) logout() error {
	http.SetCookie(q.W, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	q.Redirect("/login")
	return nil
}
