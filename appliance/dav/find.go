package dav

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/webdav"

	"redhen/appliance/space"
)

// propfind lists properties. What the answer needs is read before it begins, so
// that a trouble is an answer of its own and not a document cut in two.
func (q *request) propfind() error {
	t := &tree{q: q, known: map[string]*entry{}}
	var err error
	switch q.r.Header.Get("Depth") {
	case "0":
		_, err = t.load(q.name(q.path))
	case "1":
		err = t.loadBelow(q.name(q.path), false)
	case "", "infinity":
		err = t.loadBelow(q.name(q.path), true)
	default:
		err = &refusal{http.StatusBadRequest, errBadRequest}
	}
	if err != nil {
		return err
	}
	return t.serve()
}

// proppatch sets and removes dead properties.
func (q *request) proppatch() error {
	opt, err := q.write()
	if err != nil {
		return err
	}
	if err := q.guard(target{path: q.path}); err != nil {
		return err
	}
	t := &tree{q: q, known: map[string]*entry{}, opt: opt}
	if _, err := t.load(q.name(q.path)); err != nil {
		return err
	}
	return t.serve()
}

// name returns how the library calls a path inside the request's space.
func (q *request) name(p string) string {
	if q.fs == nil {
		return "/"
	}
	return path.Join("/"+q.space, p)
}

// A tree is what one PROPFIND or PROPPATCH sees: golang.org/x/net/webdav reads and
// writes the XML, and asks for the same entries again and again; they are read once.
type tree struct {
	q      *request
	opt    space.WriteOptions
	known  map[string]*entry
	locks  []space.Lock
	usage  space.Usage
	loaded bool // locks and usage are there
}

var _ webdav.FileSystem = (*tree)(nil)

// serve lets the library answer. Locks and the If header were judged before.
func (t *tree) serve() error {
	body, err := io.ReadAll(http.MaxBytesReader(t.q.w, t.q.r.Body, maxBody))
	if err != nil || !validXML(body) {
		return &refusal{http.StatusBadRequest, errBadRequest}
	}
	r := t.q.r.Clone(t.q.r.Context())
	r.Header.Del("If")
	r.Body = io.NopCloser(bytes.NewReader(body))
	h := webdav.Handler{Prefix: t.q.h.cfg.Prefix, FileSystem: t, LockSystem: noLocks{}}
	if r.URL.Path == h.Prefix { // the library knows no empty path
		r.URL.Path += "/"
	}
	h.ServeHTTP(t.q.w, r)
	return nil
}

// validXML reports whether b is XML, or nothing, whose prefixes all name something
// (Namespaces in XML 1.0 §2.2, which the decoder does not check).
func validXML(b []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		t, err := d.Token()
		if err != nil {
			return err == io.EOF
		}
		start, _ := t.(xml.StartElement)
		for _, a := range start.Attr {
			if a.Name.Space == "xmlns" && a.Value == "" {
				return false
			}
		}
	}
}

// load reads one entry.
func (t *tree) load(name string) (*entry, error) {
	if t.q.fs == nil {
		e := &entry{tree: t, info: space.Info{Name: "/", Dir: true, ModTime: t.q.h.cfg.Now()}}
		t.known[name] = e
		return e, nil
	}
	info, err := t.q.fs.Stat(t.q.r.Context(), t.q.path)
	if err != nil {
		return nil, err
	}
	if info.Path == "/" {
		info.Name = t.q.space
	}
	return t.add(name, info), nil
}

func (t *tree) add(name string, info space.Info) *entry {
	e := &entry{tree: t, info: info}
	t.known[name] = e
	return e
}

// loadBelow reads the entry and those in it; all below it when deep, but no more
// than the door lists at once.
func (t *tree) loadBelow(name string, deep bool) error {
	top, err := t.load(name)
	if err != nil || !top.info.Dir {
		return err
	}
	if t.q.fs == nil {
		return t.loadSpaces(name, deep)
	}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		dir := t.known[todo[0]]
		infos, err := t.q.fs.List(t.q.r.Context(), dir.info.Path)
		if err != nil {
			return err
		}
		for _, info := range infos {
			child := path.Join(todo[0], info.Name)
			dir.children = append(dir.children, t.add(child, info))
			if deep && info.Dir {
				todo = append(todo, child)
			}
		}
		if deep && len(t.known) > t.q.h.cfg.MaxTree {
			return &refusal{http.StatusForbidden, errFiniteDepth}
		}
	}
	return nil
}

// loadSpaces lists the spaces; what is in them is asked for one by one.
func (t *tree) loadSpaces(name string, deep bool) error {
	if deep {
		return &refusal{http.StatusForbidden, errFiniteDepth}
	}
	names, err := t.q.h.cfg.Spaces.Names(t.q.r.Context(), t.q.account)
	if err != nil {
		return err
	}
	for _, n := range names {
		e := t.add("/"+n, space.Info{Name: n, Dir: true, ModTime: t.q.h.cfg.Now()})
		t.known[name].children = append(t.known[name].children, e)
	}
	return nil
}

// about reads, once, what properties tell beyond the entry itself.
func (t *tree) about() error {
	if t.loaded || t.q.fs == nil {
		return nil
	}
	var err error
	if t.locks, err = t.q.fs.Locks(t.q.r.Context()); err != nil {
		return err
	}
	t.usage, err = t.q.fs.Usage(t.q.r.Context())
	t.loaded = err == nil
	return err
}

func (t *tree) find(name string) (*entry, error) {
	if e := t.known[path.Clean("/"+name)]; e != nil {
		return e, nil
	}
	// A name that was not in NFC is known under the clean one.
	if clean, err := space.Clean(name); err == nil && t.known[clean] != nil {
		return t.known[clean], nil
	}
	return nil, os.ErrNotExist
}

// Stat returns an entry that was read before.
func (t *tree) Stat(_ context.Context, name string) (os.FileInfo, error) {
	e, err := t.find(name)
	if err != nil {
		return nil, err
	}
	return fileInfo{e.info}, nil
}

// OpenFile returns an entry that was read before; no bytes are behind it.
func (t *tree) OpenFile(_ context.Context, name string, _ int, _ os.FileMode) (webdav.File, error) {
	e, err := t.find(name)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Mkdir is not used: the door makes directories itself.
func (t *tree) Mkdir(context.Context, string, os.FileMode) error { return os.ErrPermission }

// RemoveAll is not used: the door removes itself.
func (t *tree) RemoveAll(context.Context, string) error { return os.ErrPermission }

// Rename is not used: the door moves itself.
func (t *tree) Rename(context.Context, string, string) error { return os.ErrPermission }

// noLocks satisfies the library, which takes a passing lock around a PROPPATCH.
type noLocks struct{}

var _ webdav.LockSystem = noLocks{}

// Confirm is not used: the If header was judged before.
func (noLocks) Confirm(time.Time, string, string, ...webdav.Condition) (func(), error) {
	return func() {}, nil
}

// Create takes no lock.
func (noLocks) Create(time.Time, webdav.LockDetails) (string, error) { return "none", nil }

// Refresh knows no lock.
func (noLocks) Refresh(time.Time, string, time.Duration) (webdav.LockDetails, error) {
	return webdav.LockDetails{}, webdav.ErrNoSuchLock
}

// Unlock has nothing to do.
func (noLocks) Unlock(time.Time, string) error { return nil }

// fileInfo is a space.Info as the library wants it.
type fileInfo struct{ info space.Info }

var (
	_ webdav.ETager       = fileInfo{}
	_ webdav.ContentTyper = fileInfo{}
)

// Name returns the last name of the path.
func (f fileInfo) Name() string { return f.info.Name }

// Size returns the bytes of the file.
func (f fileInfo) Size() int64 { return f.info.Size }

// ModTime returns when the content was last changed.
func (f fileInfo) ModTime() time.Time { return f.info.ModTime }

// IsDir reports whether it is a directory.
func (f fileInfo) IsDir() bool { return f.info.Dir }

// Sys returns nothing.
func (f fileInfo) Sys() any { return nil }

// Mode returns what the account may do; there are no other bits.
func (f fileInfo) Mode() os.FileMode {
	if f.info.Dir {
		return os.ModeDir | 0o755
	}
	return 0o644
}

// ETag returns the version.
func (f fileInfo) ETag(context.Context) (string, error) { return f.info.ETag(), nil }

// ContentType goes by the name.
func (f fileInfo) ContentType(context.Context) (string, error) {
	return space.ContentType(f.info.Name), nil
}

// quota returns the two properties of RFC 4331.
func (t *tree) quota() map[string]string {
	if !t.usage.Known {
		return nil
	}
	return map[string]string{
		quotaUsed:      strconv.FormatInt(t.usage.Used, 10),
		quotaAvailable: strconv.FormatInt(t.usage.Available, 10),
	}
}

// locked describes the locks on a path.
func (t *tree) locked(p string) string {
	var b strings.Builder
	for _, l := range t.locks {
		if l.Covers(p) {
			b.WriteString(t.q.activeLock(l))
		}
	}
	return b.String()
}
