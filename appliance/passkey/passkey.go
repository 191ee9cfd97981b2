// Package passkey is the door by which people log in, at the circle's public name, with
// a key that their phone or computer keeps. It alone needs JavaScript: browsers hand
// out passkeys no other way.
package passkey

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"redhen/appliance/account"
	"redhen/appliance/web/page"
	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

//go:embed page.html
var pageText string

//go:embed page.js
var script []byte

//go:embed page.css
var style []byte

// Circle adds and removes passkeys; *circle.Circle does.
type Circle interface {
	AddPasskey(ctx context.Context, add directory.AddPasskey) error
	RemovePasskey(ctx context.Context, id ident.AccountID, key []byte) error
	Account(login string) (directory.Account, error)
}

// Sessions know who somebody is; *account.Accounts does.
type Sessions interface {
	Verify(token string) (account.Session, error)
	// Bind gives a session for a browser, good at one host name alone.
	Bind(token, host string) (string, account.Session, error)
}

// Config is what the door stands on; all fields are needed.
type Config struct {
	Circle   Circle
	Sessions Sessions
	Keys     *account.Passkeys
	// Party is for whom passkeys are, false while the circle has no public name.
	Party  func() (account.Party, bool)
	Logger *slog.Logger
}

const (
	sessionCookie = "redhen_session" // of package web
	askedCookie   = "__Host-redhen_passkey"
	maxAnswer     = 64 << 10
	policy        = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

type door struct {
	Config
	form *template.Template
}

// New returns the door, to be mounted at /passkey and /passkey/.
func New(cfg Config) (http.Handler, error) {
	form, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	d := &door{cfg, form}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /passkey", d.show)
	mux.HandleFunc("GET /passkey/page.js", asset("text/javascript; charset=utf-8", script))
	mux.HandleFunc("GET /passkey/page.css", asset("text/css; charset=utf-8", style))
	mux.HandleFunc("POST /passkey/ask", d.ask)
	mux.HandleFunc("POST /passkey/login", d.login)
	mux.HandleFunc("POST /passkey/register", d.register)
	mux.HandleFunc("POST /passkey/registered", d.registered)
	mux.HandleFunc("POST /passkey/remove", d.remove)
	return d.guarded(mux), nil
}

func asset(kind string, b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Write(b)
	}
}

// guarded lets in only who came to the public name, encrypted, and forms only from there.
func (d *door) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		party, ok := d.Party()
		origin := "https://" + strings.ToLower(r.Host)
		own := false
		for _, o := range party.Origins {
			own = own || o == origin
		}
		switch {
		case !ok || r.TLS == nil || !own:
			http.Error(w, language(r).Say("passkey.elsewhere"), http.StatusNotFound)
		case r.Method == http.MethodPost && r.Header.Get("Origin") != origin:
			http.Error(w, language(r).Say("refuse.origin"), http.StatusForbidden)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxAnswer)
			next.ServeHTTP(w, r)
		}
	})
}

// language is the one that the browser likes best.
func language(r *http.Request) *words.Words {
	return words.Choose(r.Header.Get("Accept-Language"), words.All())
}

// who is logged in, false for nobody.
func (d *door) who(r *http.Request) (account.Session, bool) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return account.Session{}, false
	}
	s, err := d.Sessions.Verify(c.Value)
	return s, err == nil && s.Host == page.HostOf(r.Host)
}

type shown struct {
	*words.Words
	Circle, Name string
	In           bool
	Keys         []key
	To           string
}

type key struct{ ID, Name string }

func (d *door) show(w http.ResponseWriter, r *http.Request) {
	party, _ := d.Party()
	s := shown{Words: language(r), Circle: party.Circle, To: localPath(r.FormValue("to"))}
	if who, ok := d.who(r); ok {
		s.In, s.Name = true, who.Name
		acc, err := d.Circle.Account(who.Name)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		for _, k := range acc.Passkeys {
			s.Keys = append(s.Keys, key{hex.EncodeToString(k.ID), k.Name})
		}
	}
	var b bytes.Buffer
	if err := d.form.Execute(&b, s); err != nil {
		d.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}

// localPath lets nobody lead people away.
func localPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, "\\") {
		return "/"
	}
	return to
}

// fail says in one sentence what went wrong.
func (d *door) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, key := http.StatusInternalServerError, "passkey.failed"
	switch {
	case errors.Is(err, account.ErrPasskey):
		code, key = http.StatusForbidden, "passkey.misfit"
	case errors.Is(err, account.ErrSession):
		code, key = http.StatusForbidden, "passkey.logged-out"
	default:
		d.Logger.Warn("passkey", "err", err)
	}
	http.Error(w, language(r).Say(key), code)
}

// answer sends the options of a browser's question, and has it keep what belongs to them.
func (d *door) answer(w http.ResponseWriter, r *http.Request, options []byte, kept string, err error) {
	if err != nil {
		d.fail(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: askedCookie, Value: kept, Path: "/", MaxAge: 300, HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode})
	w.Header().Set("Content-Type", "application/json")
	w.Write(options)
}

// said reads what the browser kept, and its answer.
func said(r *http.Request) (kept string, body []byte, err error) {
	c, err := r.Cookie(askedCookie)
	if err != nil {
		return "", nil, account.ErrPasskey
	}
	body, err = io.ReadAll(r.Body)
	if err != nil {
		return "", nil, account.ErrPasskey
	}
	return c.Value, body, nil
}

func (d *door) ask(w http.ResponseWriter, r *http.Request) {
	party, _ := d.Party()
	options, kept, err := d.Keys.Ask(party)
	d.answer(w, r, options, kept, err)
}

func (d *door) login(w http.ResponseWriter, r *http.Request) {
	party, _ := d.Party()
	kept, body, err := said(r)
	var token string
	var s account.Session
	if err == nil {
		token, _, err = d.Keys.Login(party, kept, body)
	}
	if err == nil {
		token, s, err = d.Sessions.Bind(token, page.HostOf(r.Host))
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: token, Path: "/", MaxAge: s.MaxAge(), HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
	w.WriteHeader(http.StatusNoContent)
}

func (d *door) register(w http.ResponseWriter, r *http.Request) {
	who, ok := d.who(r)
	if !ok {
		d.fail(w, r, account.ErrSession)
		return
	}
	party, _ := d.Party()
	options, kept, err := d.Keys.Register(party, who.Account)
	d.answer(w, r, options, kept, err)
}

func (d *door) registered(w http.ResponseWriter, r *http.Request) {
	who, ok := d.who(r)
	if !ok {
		d.fail(w, r, account.ErrSession)
		return
	}
	party, _ := d.Party()
	kept, body, err := said(r)
	var add directory.AddPasskey
	if err == nil {
		add, err = d.Keys.Registered(party, who.Account, kept, body, clip(r.FormValue("name")))
	}
	if err == nil {
		err = d.Circle.AddPasskey(r.Context(), add)
	}
	if err != nil {
		d.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func clip(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "Passkey"
	}
	return strings.ToValidUTF8(s[:min(len(s), 64)], "")
}

func (d *door) remove(w http.ResponseWriter, r *http.Request) {
	who, ok := d.who(r)
	id, err := hex.DecodeString(r.FormValue("id"))
	if !ok || err != nil {
		d.fail(w, r, account.ErrSession)
		return
	}
	if err := d.Circle.RemovePasskey(r.Context(), who.Account, id); err != nil {
		d.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/passkey", http.StatusSeeOther)
}
