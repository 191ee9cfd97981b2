package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"redhen/appliance/web/page"
	"slices"
	"strings"
)

// policy allows what the pages themselves bring, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// request is one request on its way to a page of this package.
type request struct {
	*Server
	*page.Request
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
	q := s.site.Request(w, r)
	switch {
	case !s.ownHost(r.Host):
		q.Refuse(http.StatusMisdirectedRequest, "refuse.host")
	case r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r):
		q.Refuse(http.StatusForbidden, "refuse.origin")
	case page.HostOf(r.Host) == page.CommonName && !atCommonName(r.URL.Path) && s.site.OwnName() != "":
		http.Redirect(w, r, s.site.OwnURL(r)+r.URL.RequestURI(), http.StatusSeeOther)
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
		q := s.site.Request(w, r)
		q.Who, _ = s.session(q)
		q.Run(func(q *page.Request) error { return fn(&request{s, q}) })
	})
}

// member serves a page to people who are logged in; others log in first.
func (s *Server) member(pattern string, fn handler) {
	s.members(pattern, func(q *page.Request) error { return fn(&request{s, q}) })
}

// members serves a page of another package to people who are logged in.
func (s *Server) members(pattern string, fn page.Handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		q := s.site.Request(w, r)
		var ok bool
		if q.Who, ok = s.session(q); !ok {
			q.LogIn()
			return
		}
		q.Run(fn)
	})
}

// ownHost guards against DNS rebinding: a stranger's name that leads to our
// address would make our pages theirs.
func (s *Server) ownHost(hostport string) bool {
	host := page.HostOf(hostport)
	if _, err := netip.ParseAddr(host); err == nil || host == page.CommonName || host == "localhost" {
		return true
	}
	return slices.ContainsFunc(s.cfg.Names(), func(own string) bool { return strings.EqualFold(own, host) })
}

// sameOrigin reports whether a form was sent from one of our own pages.
func sameOrigin(r *http.Request) bool {
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && strings.EqualFold(origin.Host, r.Host)
}

// nothingHere answers for addresses that lead nowhere.
func (q *request) nothingHere() error {
	q.W.WriteHeader(http.StatusNotFound)
	return q.Show("message", page.Page{Title: q.Say("nothing.title"), Body: page.Message{Title: q.Say("nothing.title"), Text: q.Say("nothing.text"), Link: "/", LinkText: q.Say("nothing.link")}})
}

// deciding bounds the time of what the circle has to decide; see page.Deciding.
func deciding(fn handler) handler {
	return func(q *request) error {
		bounded := page.Deciding(func(r *page.Request) error { return fn(&request{q.Server, r}) })
		return bounded(q.Request)
	}
}
