package page

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"redhen/appliance/account"
	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/raftnode/directory"

	"time"
)

// CommonName leads to the box of this house, whatever it is called. A browser
// would send what is stored under it to any box of any house: so nothing is.
const CommonName = "redhen.local"

// MaxForm bounds the body of a form without files, in bytes.
const MaxForm = 64 << 10

// Request is one request on its way to a page.
type Request struct {
	*Site
	W http.ResponseWriter
	R *http.Request
	// Who is zero for somebody who is not logged in.
	Who account.Session
	// Words are in the language that the browser likes best.
	Words *words.Words
}

// Handler answers a request; its error is shown in words.
type Handler func(*Request) error

// Request returns the request of somebody who is not known yet.
func (s *Site) Request(w http.ResponseWriter, r *http.Request) *Request {
	lang := words.Choose(r.Header.Get("Accept-Language"), s.Languages)
	return &Request{Site: s, W: w, R: r.WithContext(words.With(r.Context(), lang)), Words: lang}
}

// Run has fn answer.
func (q *Request) Run(fn Handler) {
	q.R.Body = q.bounded()
	if err := fn(q); err != nil {
		q.Fail(err)
	}
}

// Say returns a text of the pages; see words.Words.
func (q *Request) Say(key string, pairs ...any) string { return q.Words.Say(key, pairs...) }

// Redirect leads on with GET.
func (q *Request) Redirect(to string) { http.Redirect(q.W, q.R, to, http.StatusSeeOther) }

// From is the address of whoever asks, zero when it is not known.
func (q *Request) From() netip.Addr {
	ap, _ := netip.ParseAddrPort(q.R.RemoteAddr) // zero is as good as unknown
	return ap.Addr().Unmap()
}

// Refuse answers with one sentence, to whatever sent this.
func (q *Request) Refuse(code int, key string) { http.Error(q.W, q.Say(key), code) }

// Blamed shows the form again with the sentence for err, or returns err.
func (q *Request) Blamed(f *Form, err error, show func(*Form) error, fields ...string) error {
	if !f.Blame(err, fields...) {
		return err
	}
	return show(f)
}

// IsKeeper reports whether the person keeps a box of the circle.
func (q *Request) IsKeeper() bool {
	r := q.Circle.Roster()
	if r == nil {
		return false
	}
	for _, b := range r.Members() {
		if b.Keeper == q.Who.Account {
			return true
		}
	}
	return false
}

// KeepsThis reports whether the person keeps the box that answers.
func (q *Request) KeepsThis() bool {
	r := q.Circle.Roster()
	if r == nil {
		return false
	}
	own, ok := r.Box(q.Box)
	return ok && own.Keeper == q.Who.Account
}

// KeepersOnly tells people without a box whom to ask.
func (q *Request) KeepersOnly() error {
	return q.Show("message", Page{Title: q.Say("keepers.title"), Tab: "circle", Body: Message{
		Title: q.Say("keepers.title"), Text: q.Say("keepers.text"), Link: "/circle", LinkText: q.Say("back.circle")}})
}

// NotYourBox says whose box this is.
func (q *Request) NotYourBox() error {
	return q.Show("message", Page{Title: q.Say("box.title"), Tab: "me", Body: Message{
		Title: q.Say("box.not-yours"), Text: q.Say("box.not-yours.text", "box", q.ThisBox().Box), Link: "/me", LinkText: q.Say("back.me")}})
}

// When tells a moment on a page.
func (q *Request) When(t time.Time) string { return q.Words.When(t, q.Now()) }

// ThisBox names the box that answers; zero when it is in no circle.
type ThisBox struct{ Circle, House, Box string }

// ThisBox returns the names of the box that answers.
func (q *Request) ThisBox() (b ThisBox) {
	r := q.Circle.Roster()
	if r == nil {
		return b
	}
	own, _ := r.Box(q.Box)
	house, _ := r.House(own.House)
	return ThisBox{r.Name(), house.Name, own.Name}
}

// OwnName is the best host name of this box, empty when it has none.
func (s *Site) OwnName() string {
	for _, name := range s.Names() {
		if name != CommonName {
			return name
		}
	}
	return ""
}

// OwnURL is the start of addresses at this box's own name, at the port of the request.
func (s *Site) OwnURL(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return "http://" + net.JoinHostPort(s.OwnName(), port)
	}
	return "http://" + s.OwnName()
}

// Here is the start of addresses as the person reached us; at redhen.local, our own name's.
func (q *Request) Here() string {
	if HostOf(q.R.Host) == CommonName && q.OwnName() != "" {
		return q.OwnURL(q.R)
	}
	scheme := "http://"
	if q.R.TLS != nil {
		scheme = "https://"
	}
	return scheme + q.R.Host
}

// HostOf is the host of host:port, in lower case, without brackets and the dot of a full name.
func HostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// LocalPath lets nobody lead people away: only a path of our own, else the front page.
func LocalPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// LogIn leads to the log-in page and back.
func (q *Request) LogIn() {
	if !q.Circle.Claimed() {
		q.Redirect("/claim")
		return
	}
	back := ""
	if q.R.Method == http.MethodGet && q.R.URL.Path != "/" && !strings.HasPrefix(q.R.URL.Path, "/live/") {
		back = "?to=" + url.QueryEscape(q.R.URL.RequestURI())
	}
	q.Redirect("/login" + back)
}

// FullName is what friends call somebody.
func FullName(a directory.Account) string {
	if a.FullName != "" {
		return a.FullName
	}
	return a.Name
}

// People names accounts.
func People(accounts []directory.Account) map[ident.AccountID]string {
	names := map[ident.AccountID]string{}
	for _, a := range accounts {
		names[a.ID] = FullName(a)
	}
	return names
}
