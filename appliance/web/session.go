package web

import (
	"net/http"
	"strings"

	"redhen/appliance/account"
	"redhen/appliance/firstboot"
)

const sessionCookie = "redhen_session"

// session returns whose request this is. At redhen.local nobody is logged in.
func (q *request) session() (account.Session, bool) {
	c, err := q.r.Cookie(sessionCookie)
	if err != nil || hostOf(q.r.Host) == commonName {
		return account.Session{}, false
	}
	s, err := q.cfg.Sessions.Verify(c.Value)
	if err != nil {
		return account.Session{}, false
	}
	if s.Renew && q.r.Method == http.MethodGet {
		if token, fresh, err := q.cfg.Sessions.Renew(c.Value); err == nil {
			q.setCookie(token, fresh)
			s = fresh
		}
	}
	return s, true
}

func (q *request) setCookie(token string, s account.Session) {
	if hostOf(q.r.Host) == commonName {
		return
	}
	http.SetCookie(q.w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", Expires: s.Expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: q.r.TLS != nil,
	})
}

func (q *request) loginPage() error {
	if !q.cfg.Circle.Claimed() {
		q.redirect("/claim")
		return nil
	}
	if q.who.Account != "" {
		q.redirect(localPath(q.r.FormValue("to")))
		return nil
	}
	return q.showLogin(newForm(q.r))
}

// loginBody is the box, and whether its card asks for a new password.
type loginBody struct {
	thisBox
	Reset bool
}

func (q *request) showLogin(f *form) error {
	return q.show("login", page{Title: q.say("login.title"), Form: f, Body: loginBody{q.thisBox(), q.start().Doing == firstboot.AskReset}})
}

func (q *request) login() error {
	f, err := q.form()
	if err != nil {
		return err
	}
	if !f.needs("login", "password") {
		return q.showLogin(f)
	}
	login := account.CleanName(f.get("login"))
	if err := q.enter(login, f.get("password")); err != nil {
		if _, unknown := q.cfg.Circle.Account(login); unknown == nil {
			q.guesses.count(login, err)
		}
		if !f.blame(err, "login", "password") {
			return err
		}
		return q.showLogin(f)
	}
	if was, tell := q.guesses.take(login); tell {
		q.tell(localPath(f.get("to")), note{Bad: true, Text: q.say("guessed", "n", was.wrong, "since", q.when(was.since)), Lines: []string{q.say("guessed.do")}})
		return nil
	}
	q.redirect(localPath(f.get("to")))
	return nil
}

// enter logs a person in; the answer carries the cookie.
func (q *request) enter(login, password string) error {
	ctx := account.WithSource(q.r.Context(), q.from())
	token, s, err := q.cfg.Sessions.Login(ctx, account.CleanName(login), password)
	if err == nil {
		q.setCookie(token, s)
		q.who = s
	}
	return err
}

func (q *request) logout() error {
	http.SetCookie(q.w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	q.redirect("/login")
	return nil
}

// localPath lets nobody lead people away: only a path of our own, else the front page.
func localPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// thisBox names the box on pages for people who are not logged in.
type thisBox struct{ Circle, House, Box string }

func (q *request) thisBox() (b thisBox) {
	r := q.cfg.Circle.Roster()
	if r == nil {
		return b
	}
	own, _ := r.Box(q.cfg.Box)
	house, _ := r.House(own.House)
	return thisBox{r.Name(), house.Name, own.Name}
}
