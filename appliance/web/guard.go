package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"redhen/appliance/account"
)

// commonName leads to the box of this house, whatever it is called. A browser
// would send what is stored under it to any box of any house: so nothing is.
const commonName = "redhen.local"

// maxForm bounds the body of a form without files, in bytes.
const maxForm = 64 << 10

// policy allows what the pages themselves bring, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// request is one request on its way to a page.
type request struct {
	*Server
	w http.ResponseWriter
	r *http.Request
	// who is zero for somebody who is not logged in.
	who account.Session
}

type handler func(*request) error

// ServeHTTP refuses what no browser of ours sends, then serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	q := &request{Server: s, w: w, r: r}
	switch {
	case !s.ownHost(r.Host):
		q.refuse(http.StatusMisdirectedRequest, "refuse.host")
	case r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r):
		q.refuse(http.StatusForbidden, "refuse.origin")
	case hostOf(r.Host) == commonName && !atCommonName(r.URL.Path) && s.ownName() != "":
		http.Redirect(w, r, s.ownURL(r)+r.URL.RequestURI(), http.StatusSeeOther)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// atCommonName lists what redhen.local itself answers: what needs no cookie.
func atCommonName(path string) bool {
	return slices.Contains([]string{"/", "/claim", "/p", "/p/photo", "/join", "/join/stop", "/joining", "/live/joining", "/live/start", "/receive"}, path) ||
		strings.HasPrefix(path, "/static/")
}

// open serves a page to anybody.
func (s *Server) open(pattern string, fn handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		q := &request{Server: s, w: w, r: r}
		q.who, _ = q.session()
		q.run(fn)
	})
}

// member serves a page to people who are logged in; others log in first.
func (s *Server) member(pattern string, fn handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		q := &request{Server: s, w: w, r: r}
		var ok bool
		if q.who, ok = q.session(); !ok {
			q.toLogin()
			return
		}
		q.run(fn)
	})
}

func (q *request) run(fn handler) {
	q.r.Body = q.bounded()
	if err := fn(q); err != nil {
		q.fail(err)
	}
}

// toLogin leads to the log-in page and back.
func (q *request) toLogin() {
	if !q.cfg.Circle.Claimed() {
		q.redirect("/claim")
		return
	}
	back := ""
	if q.r.Method == http.MethodGet && q.r.URL.Path != "/" && !strings.HasPrefix(q.r.URL.Path, "/live/") {
		back = "?to=" + url.QueryEscape(q.r.URL.RequestURI())
	}
	q.redirect("/login" + back)
}

func (q *request) redirect(to string) { http.Redirect(q.w, q.r, to, http.StatusSeeOther) }

// from is the address of whoever asks, zero when it is not known.
func (q *request) from() netip.Addr {
	ap, _ := netip.ParseAddrPort(q.r.RemoteAddr) // zero is as good as unknown
	return ap.Addr().Unmap()
}

// ownHost guards against DNS rebinding: a stranger's name that leads to our
// address would make our pages theirs.
func (s *Server) ownHost(hostport string) bool {
	host := hostOf(hostport)
	if _, err := netip.ParseAddr(host); err == nil || host == commonName || host == "localhost" {
		return true
	}
	return slices.ContainsFunc(s.cfg.Names(), func(own string) bool { return strings.EqualFold(own, host) })
}

// hostOf is the host of host:port, in lower case, without brackets and the dot of a full name.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// ownName is the best host name of this box, empty when it has none.
func (s *Server) ownName() string {
	for _, name := range s.cfg.Names() {
		if name != commonName {
			return name
		}
	}
	return ""
}

// ownURL is the start of addresses at this box's own name, at the port of the request.
func (s *Server) ownURL(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return "http://" + net.JoinHostPort(s.ownName(), port)
	}
	return "http://" + s.ownName()
}

// here is the start of addresses as the person reached us; at redhen.local, our own name's.
func (q *request) here() string {
	if hostOf(q.r.Host) == commonName && q.ownName() != "" {
		return q.ownURL(q.r)
	}
	scheme := "http://"
	if q.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + q.r.Host
}

// sameOrigin reports whether a form was sent from one of our own pages.
func sameOrigin(r *http.Request) bool {
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && strings.EqualFold(origin.Host, r.Host)
}

// nothingHere answers for addresses that lead nowhere.
func (q *request) nothingHere() error {
	q.w.WriteHeader(http.StatusNotFound)
	return q.show("message", page{Title: q.say("nothing.title"), Body: message{Title: q.say("nothing.title"), Text: q.say("nothing.text"), Link: "/", LinkText: q.say("nothing.link")}})
}

// refuse answers with one sentence, to whatever sent this.
func (q *request) refuse(code int, key string) {
	http.Error(q.w, q.say(key), code)
}

// errTooLarge says that a form is larger than any of ours.
var errTooLarge = errors.New("web: form too large")
