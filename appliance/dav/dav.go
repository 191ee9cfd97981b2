// Package dav is the WebDAV door (RFC 4918, classes 1 and 2): every space of an
// account as a folder at /dav/SPACE/…. It only translates to package space.
package dav

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"redhen/appliance/space"
	"redhen/appliance/words"
	"redhen/provision/ident"
)

const (
	// keptHeader is on every answer to a write: the houses that have it on disk. 1
	// means: kept in this house, on its way to the others.
	keptHeader = "Redhen-Kept"
	// besideHeader is the path inside the space of what a write became, when what it
	// meant had been changed by someone else meanwhile.
	besideHeader = "Redhen-Beside"
	// insistHeader of a request is the number of houses without which it is to be refused.
	insistHeader = "Redhen-Insist"
	// maxBody bounds the XML of a request, in bytes.
	maxBody = 256 << 10
)

// Authenticator tells whose request it is.
type Authenticator interface {
	// Authenticate returns the account whose name and password r carries. If it
	// carries none, or wrong ones, it adds its challenges (WWW-Authenticate) to
	// answer and returns false.
	Authenticate(answer http.Header, r *http.Request) (ident.AccountID, bool)
}

// Spaces finds the spaces that an account may see.
type Spaces interface {
	// Names returns their names, which are the folders under /dav/.
	Names(ctx context.Context, account ident.AccountID) ([]string, error)
	// Space returns the account's view of one, space.ErrNotFound when it has none of that name.
	Space(ctx context.Context, account ident.AccountID, name string) (*space.FS, error)
}

// Config is what the door needs.
type Config struct {
	// Auth and Spaces are required.
	Auth   Authenticator
	Spaces Spaces
	// Prefix is the path at which the handler is mounted; "" means "/dav".
	Prefix string
	// MaxTree is the most entries that a PROPFIND of infinite depth may list; 0 means 10,000.
	MaxTree int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger hears of faults of this box; nil means none.
	Logger *slog.Logger
}

// Handler is the door. It may be used from many goroutines.
type Handler struct{ cfg Config }

var _ http.Handler = (*Handler)(nil)

// New returns the door.
func New(cfg Config) *Handler {
	if cfg.Prefix == "" {
		cfg.Prefix = "/dav"
	}
	if cfg.MaxTree == 0 {
		cfg.MaxTree = 10_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{cfg}
}

// A request is one request on its way through the door.
type request struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	account ident.AccountID
	space   string    // empty at the folder of all spaces
	fs      *space.FS // nil at the folder of all spaces
	path    string    // clean, inside the space
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{h: h, w: w, r: r}
	if r.Method == http.MethodOptions { // Windows asks before it has a password
		q.options()
		return
	}
	var ok bool
	if q.account, ok = h.cfg.Auth.Authenticate(w.Header(), r); !ok {
		http.Error(w, q.words().Say("dav.login"), http.StatusUnauthorized)
		return
	}
	if err := q.serve(); err != nil {
		q.fail(err)
	}
}

func (q *request) serve() (err error) {
	if q.space, q.fs, q.path, err = q.resolve(q.r.URL.Path); err != nil {
		return err
	}
	switch q.r.Method {
	case "PROPFIND":
		return q.propfind()
	case http.MethodGet, http.MethodHead:
		return q.get()
	}
	if q.fs == nil || (q.path == "/" && q.r.Method != "LOCK" && q.r.Method != "UNLOCK" && q.r.Method != "PROPPATCH" && q.r.Method != "COPY") {
		return &refusal{http.StatusMethodNotAllowed, space.ErrIsDirectory}
	}
	switch q.r.Method {
	case http.MethodPut:
		return q.put()
	case "MKCOL":
		return q.mkcol()
	case http.MethodDelete:
		return q.remove()
	case "COPY":
		return q.copy()
	case "MOVE":
		return q.move()
	case "PROPPATCH":
		return q.proppatch()
	case "LOCK":
		return q.lock()
	case "UNLOCK":
		return q.unlock()
	}
	return &refusal{http.StatusMethodNotAllowed, errMethod}
}

// resolve finds the space and the path inside it that a URL path names.
func (q *request) resolve(urlPath string) (name string, fs *space.FS, p string, err error) {
	rest, ok := strings.CutPrefix(urlPath, q.h.cfg.Prefix)
	if !ok || (rest != "" && rest[0] != '/') {
		return "", nil, "", space.ErrNotFound
	}
	if rest, err = space.Clean(rest); err != nil || rest == "/" {
		return "", nil, "/", err
	}
	name, p, _ = strings.Cut(rest[1:], "/")
	fs, err = q.h.cfg.Spaces.Space(q.r.Context(), q.account, name)
	return name, fs, "/" + p, err
}

// options answers what the door can do, whoever asks.
func (q *request) options() {
	head := q.w.Header()
	head.Set("Allow", "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK")
	head.Set("DAV", "1, 2")
	head.Set("MS-Author-Via", "DAV") // Windows
	head.Set("Accept-Ranges", "bytes")
	q.w.WriteHeader(http.StatusOK)
}

var (
	errMethod      = errors.New("dav: method not known")
	errBadRequest  = errors.New("dav: not a valid request")
	errFiniteDepth = errors.New("dav: too many entries for an infinite depth")
)

// A refusal is an error for which WebDAV wants another status than the table of package space has.
type refusal struct {
	status int
	err    error
}

func (e *refusal) Error() string { return e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

// fail answers an error in words.
func (q *request) fail(err error) {
	w := q.words()
	t := space.ExplainIn(w, err)
	if e, ok := errors.AsType[*refusal](err); ok {
		if t.Status == http.StatusInternalServerError {
			t = space.Trouble{What: w.Say("trouble.program.what"), Lost: w.Say("trouble.unchanged"), Do: w.Say("trouble.program.do")}
		}
		t.Status = e.status
	}
	if t.Status == http.StatusInternalServerError {
		q.h.cfg.Logger.Error("webdav request", "method", q.r.Method, "err", err)
	}
	if t.Status == http.StatusServiceUnavailable {
		q.w.Header().Set("Retry-After", "30")
	}
	head := q.w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	if errors.Is(err, errFiniteDepth) {
		q.xml(t.Status, `<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>`)
		return
	}
	http.Error(q.w, t.String(), t.Status)
}

// words are in the language that the program asks for, English for most.
func (q *request) words() *words.Words {
	return words.Choose(q.r.Header.Get("Accept-Language"), words.All())
}

// xml answers a document of ours.
func (q *request) xml(status int, body string) {
	q.w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	q.w.WriteHeader(status)
	io.WriteString(q.w, `<?xml version="1.0" encoding="utf-8"?>`+"\n"+body+"\n")
}

// options of a write that its headers carry.
func (q *request) write() (space.WriteOptions, error) {
	s := q.r.Header.Get(insistHeader)
	if s == "" {
		return space.WriteOptions{}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 64 {
		return space.WriteOptions{}, &refusal{http.StatusBadRequest, errBadRequest}
	}
	return space.WriteOptions{Insist: n}, nil
}

// kept puts what became of a write into the headers.
func (q *request) kept(a space.Answer) {
	head := q.w.Header()
	head.Set(keptHeader, strconv.Itoa(a.Kept))
	if a.Beside { // the ETag would be that of another file than the one asked for
		head.Set(besideHeader, escapePath(a.Info.Path))
	} else if tag := a.Info.ETag(); tag != "" {
		head.Set("ETag", tag)
	}
}

// done answers a write: 201 when it made something, else 204.
func (q *request) done(a space.Answer, created bool) error {
	q.kept(a)
	if created {
		q.w.WriteHeader(http.StatusCreated)
	} else {
		q.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}
