package dav

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"redhen/appliance/space"
)

const (
	// maxLock is the longest that a lock lives without being refreshed. Nobody gets
	// one for ever: its program may have crashed.
	maxLock = time.Hour
	// maxOwner bounds the text that names a lock's owner, in bytes.
	maxOwner = 512
)

// A target is what a request is about to change.
type target struct {
	path   string
	deep   bool // everything below it too
	member bool // it appears in its directory or leaves it
}

// hit reports whether changing the target touches what the lock protects (RFC 4918 §6.1, §7.4).
func (t target) hit(l space.Lock) bool {
	dir, _ := space.Split(t.path)
	return l.Covers(t.path) || t.deep && space.Within(l.Path, t.path) || t.member && l.Path == dir
}

// guard refuses a request whose If header does not hold, or that would change what
// is locked without submitting the lock's token.
func (q *request) guard(targets ...target) error {
	h, err := parseIf(strings.Join(q.r.Header.Values("If"), " "))
	if err != nil {
		return &refusal{http.StatusBadRequest, err}
	}
	locks, err := q.fs.Locks(q.r.Context())
	if err != nil {
		return err
	}
	ok, err := h.holds(func(resource string) (resourceState, error) { return q.state(resource, locks) })
	if err != nil {
		return err
	}
	if !ok {
		return space.ErrPrecondition
	}
	submitted := h.tokens()
	for _, l := range locks {
		mine := l.Author == q.account && slices.Contains(submitted, l.Token)
		if !mine && slices.ContainsFunc(targets, func(t target) bool { return t.hit(l) }) {
			return space.ErrLocked
		}
	}
	return nil
}

// state returns what is true of a resource that an If header names.
func (q *request) state(resource string, locks []space.Lock) (s resourceState, err error) {
	p := q.path
	if resource != "" {
		u, err := url.Parse(resource)
		if err != nil || u.Host != "" && u.Host != q.r.Host {
			return s, nil
		}
		name, _, inside, err := q.resolve(u.Path)
		if err != nil || name != q.space {
			return s, nil
		}
		p = inside
	}
	for _, l := range locks {
		if l.Covers(p) {
			s.tokens = append(s.tokens, l.Token)
		}
	}
	info, err := q.fs.Stat(q.r.Context(), p)
	if err != nil && !errors.Is(err, space.ErrNotFound) && !errors.Is(err, space.ErrNotDirectory) {
		return s, err
	}
	s.etag = info.ETag()
	return s, nil
}

// lockInfo is the body of a LOCK (RFC 4918 §14.11).
type lockInfo struct {
	XMLName   xml.Name  `xml:"DAV: lockinfo"`
	Exclusive *struct{} `xml:"DAV: lockscope>exclusive"`
	Shared    *struct{} `xml:"DAV: lockscope>shared"`
	Write     *struct{} `xml:"DAV: locktype>write"`
	Owner     struct {
		Href string `xml:"DAV: href"`
		Text string `xml:",chardata"`
	} `xml:"DAV: owner"`
}

// owner returns whom the lock belongs to as XML that stands on its own: what a
// client sends refers to prefixes of its document.
func (li *lockInfo) owner() string {
	if href := strings.TrimSpace(li.Owner.Href); href != "" {
		return `<D:href xmlns:D="DAV:">` + escapeXML(href) + `</D:href>`
	}
	return escapeXML(strings.TrimSpace(li.Owner.Text))
}

func escapeXML(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

func (q *request) lock() error {
	ttl, err := lockTime(q.r.Header.Get("Timeout"))
	if err != nil {
		return err
	}
	var li lockInfo
	err = xml.NewDecoder(http.MaxBytesReader(q.w, q.r.Body, maxBody)).Decode(&li)
	if err == io.EOF {
		return q.refresh(ttl)
	}
	depth := q.r.Header.Get("Depth")
	if err != nil || li.Write == nil || depth != "" && depth != "0" && depth != "infinity" || len(li.owner()) > maxOwner {
		return &refusal{http.StatusBadRequest, errBadRequest}
	}
	if li.Exclusive == nil || li.Shared != nil {
		return &refusal{http.StatusNotImplemented, errBadRequest}
	}
	created, err := q.prepareLock(depth != "0")
	if err != nil {
		return err
	}
	l, a, err := q.fs.Lock(q.r.Context(), q.path, space.LockOptions{Deep: depth != "0", Owner: li.owner(), For: ttl})
	if err != nil {
		return err
	}
	q.w.Header().Set(keptHeader, strconv.Itoa(a.Kept))
	q.w.Header().Set("Lock-Token", "<"+l.Token+">")
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	q.answerLock(status, l)
	return nil
}

// prepareLock refuses a lock that is in the way of another, and makes an empty file
// where there is nothing to lock (RFC 4918 §7.3).
func (q *request) prepareLock(deep bool) (created bool, err error) {
	t := target{path: q.path, deep: deep}
	_, err = q.fs.Stat(q.r.Context(), q.path)
	t.member = errors.Is(err, space.ErrNotFound)
	if err != nil && !t.member {
		return false, err
	}
	locks, err := q.fs.Locks(q.r.Context())
	if err != nil {
		return false, err
	}
	for _, l := range locks {
		if l.Covers(t.path) || t.deep && space.Within(l.Path, t.path) {
			return false, space.ErrLocked
		}
	}
	if err := q.guard(target{path: q.path, member: t.member}); err != nil || !t.member {
		return false, err
	}
	_, err = q.fs.Put(q.r.Context(), q.path, strings.NewReader(""), space.PutOptions{IfNoneMatch: []string{"*"}})
	if errors.Is(err, space.ErrPrecondition) { // made by someone else in this moment
		return false, nil
	}
	return err == nil, err
}

// refresh gives the lock whose token the If header carries a new time.
func (q *request) refresh(ttl time.Duration) error {
	h, err := parseIf(strings.Join(q.r.Header.Values("If"), " "))
	if err != nil || len(h.tokens()) != 1 {
		return &refusal{http.StatusBadRequest, errBadRequest}
	}
	l, err := q.ownLock(h.tokens()[0])
	if err != nil {
		return &refusal{http.StatusPreconditionFailed, err}
	}
	l, a, err := q.fs.Refresh(q.r.Context(), l, ttl)
	if err != nil {
		return err
	}
	q.w.Header().Set(keptHeader, strconv.Itoa(a.Kept))
	q.answerLock(http.StatusOK, l)
	return nil
}

// ownLock returns the account's lock that has the token and covers the request's path.
func (q *request) ownLock(token string) (space.Lock, error) {
	locks, err := q.fs.Locks(q.r.Context())
	if err != nil {
		return space.Lock{}, err
	}
	for _, l := range locks {
		if l.Token == token && l.Author == q.account && l.Covers(q.path) {
			return l, nil
		}
	}
	return space.Lock{}, space.ErrNoLock
}

func (q *request) unlock() error {
	token := strings.TrimSpace(q.r.Header.Get("Lock-Token"))
	if len(token) < 3 || token[0] != '<' || token[len(token)-1] != '>' {
		return &refusal{http.StatusBadRequest, errBadRequest}
	}
	l, err := q.ownLock(token[1 : len(token)-1])
	if err != nil {
		return err
	}
	a, err := q.fs.Unlock(q.r.Context(), l)
	if err != nil {
		return err
	}
	return q.done(space.Answer{Kept: a.Kept}, false)
}

// lockTime reads a Timeout header: the first wish of its list, within maxLock.
func lockTime(s string) (time.Duration, error) {
	s, _, _ = strings.Cut(s, ",")
	s = strings.TrimSpace(s)
	if s == "" || s == "Infinite" {
		return maxLock, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "Second-"), 10, 32)
	if err != nil {
		return 0, &refusal{http.StatusBadRequest, errBadRequest}
	}
	return min(max(time.Duration(n)*time.Second, time.Second), maxLock), nil
}

func (q *request) answerLock(status int, l space.Lock) {
	q.xml(status, `<D:prop xmlns:D="DAV:"><D:lockdiscovery>`+q.activeLock(l)+`</D:lockdiscovery></D:prop>`)
}

// activeLock describes a lock (RFC 4918 §14.1).
func (q *request) activeLock(l space.Lock) string {
	depth := "0"
	if l.Deep {
		depth = "infinity"
	}
	left := max(0, l.Expires.Sub(q.h.cfg.Now()).Round(time.Second)/time.Second)
	return fmt.Sprintf(`<D:activelock xmlns:D="DAV:"><D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/></D:lockscope>`+
		`<D:depth>%s</D:depth><D:owner>%s</D:owner><D:timeout>Second-%d</D:timeout>`+
		`<D:locktoken><D:href>%s</D:href></D:locktoken><D:lockroot><D:href>%s</D:href></D:lockroot></D:activelock>`,
		depth, l.Owner, left, escapeXML(l.Token), escapeXML(q.href(q.space, l.Path)))
}

// href returns the URL path of a path inside a space.
func (q *request) href(name, p string) string {
	return escapePath(q.h.cfg.Prefix + "/" + name + p)
}
