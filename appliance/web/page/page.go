// Package page is what all pages of a box stand on: the frame, forms and what is wrong
// with them, words for errors, what is kept for the next page, parts that change by
// themselves. The nouns beside it, such as web/care, add pages.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"redhen/appliance/account"
	"redhen/appliance/space"
	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/provision/roster"
)

//go:embed templates static
var embedded embed.FS

type readCloser = io.ReadCloser

// Config is what the pages stand on; all fields are needed.
type Config struct {
	Box    ident.BoxID
	Circle interface {
		Claimed() bool
		Roster() *roster.State
	}
	Names   func() []string // of this box, the best one first
	Session func(*Request) (account.Session, bool)
	Logger  *slog.Logger
	Now     func() time.Time
	// Languages are those that a browser may choose from, the first for all others.
	Languages []*words.Words
}

// Site makes pages. It is safe for concurrent use.
type Site struct {
	Config
	Shelf *Shelf

	sets   map[*words.Words]map[string]*template.Template
	assets map[string]asset // by name
	live   atomic.Int32     // pages that are kept up to date now

	errands chan func(context.Context)
}

type asset struct {
	hash string
	data []byte
}

// Page is what every page shows, and its own Body.
type Page struct {
	Title string
	Tab   string
	Form  *Form
	Body  any
	// Live pages change by themselves; without JavaScript they have a link that looks again.
	Live bool
	// Wide lets the page have more than the width of a letter.
	Wide bool

	Lang   string // set by Show, as are the others below
	Circle string
	Who    string
	Note   *Note
	Fresh  bool // the box is not claimed
}

// Message is a page of its own with one thing to say.
type Message struct{ Title, Text, Lost, Link, LinkText string }

// Note is what just happened, for the top of the next page.
type Note struct {
	Text string
	Bad  bool
	// Lines tell more.
	Lines []string
	// Undo takes it back: a form for Action with these fields.
	Action string
	Fields map[string]string
	Label  string
}

// UndoBy gives the note a button that takes it back.
func (n *Note) UndoBy(action, label string, pairs ...string) {
	n.Action, n.Label, n.Fields = action, label, map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		n.Fields[pairs[i]] = pairs[i+1]
	}
}

// New reads the templates: a page is a file NAME.html, in one of the folders.
func New(cfg Config, folders ...fs.FS) (*Site, error) {
	s := &Site{Config: cfg, Shelf: NewShelf(cfg.Now), sets: map[*words.Words]map[string]*template.Template{}, assets: map[string]asset{}, errands: make(chan func(context.Context))}
	files, err := embedded.ReadDir("static")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	for _, f := range files {
		data, err := embedded.ReadFile("static/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		sum := sha256.Sum256(data)
		s.assets[f.Name()] = asset{hex.EncodeToString(sum[:6]), data}
	}
	for _, w := range cfg.Languages {
		if s.sets[w], err = s.parse(w, folders); err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
	}
	return s, nil
}

// parse reads all templates for one language.
func (s *Site) parse(w *words.Words, folders []fs.FS) (map[string]*template.Template, error) {
	base, err := template.New("base").Funcs(s.funcs(w)).ParseFS(embedded, "templates/*.html")
	if err != nil {
		return nil, err
	}
	set := map[string]*template.Template{}
	for _, folder := range folders {
		names, err := fs.Glob(folder, "templates/*.html")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			page := strings.TrimSuffix(path.Base(name), ".html")
			if set[page] != nil {
				return nil, fmt.Errorf("two pages are called %s", page)
			}
			if set[page], err = template.Must(base.Clone()).ParseFS(folder, name); err != nil {
				return nil, err
			}
		}
	}
	return set, nil
}

func (s *Site) funcs(w *words.Words) template.FuncMap {
	return template.FuncMap{
		"say":   w.Say,
		"field": func(f *Form, name string, options ...string) (Field, error) { return field(w, f, name, options...) },
		"bytes": w.Bytes,
		"lead":  lead,
		"asset": func(name string) (string, error) {
			a, ok := s.assets[name]
			if !ok {
				return "", fmt.Errorf("no asset %q", name)
			}
			return "/static/" + a.hash + "/" + name, nil
		},
	}
}

// Assets returns the addresses of the stylesheet, the script and the icon.
func (s *Site) Assets() (list []string) {
	for name, a := range s.assets {
		list = append(list, "/static/"+a.hash+"/"+name)
	}
	return list
}

// Show answers with a page.
func (q *Request) Show(name string, p Page) error {
	p.Lang = q.Words.Lang()
	if r := q.Circle.Roster(); r != nil {
		p.Circle = r.Name()
	} else {
		p.Fresh = true
	}
	if q.Who.Account != "" {
		p.Who = q.Who.Name
		if n, ok := Take[Note](q.Shelf, q.Who.Account, q.R.URL.Query().Get("m")); ok {
			p.Note = &n
		}
	}
	var b bytes.Buffer
	if err := q.sets[q.Words][name].ExecuteTemplate(&b, "page", p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	q.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.Form != nil && (p.Form.Error != "" || len(p.Form.Errors) > 0) {
		q.W.WriteHeader(http.StatusUnprocessableEntity)
	}
	_, err := q.W.Write(b.Bytes())
	if err != nil {
		return nil // the browser left
	}
	return nil
}

// Part renders a piece of a page, for those that are kept up to date.
func (q *Request) Part(name, part string, data any) (string, error) {
	var b bytes.Buffer
	err := q.sets[q.Words][name].ExecuteTemplate(&b, part, data)
	return b.String(), err
}

// Tell leads on to a page that says what happened.
func (q *Request) Tell(to string, n Note) {
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	q.Redirect(to + sep + "m=" + q.Shelf.Put(q.Who.Account, n, time.Hour))
}

// Fail answers for an error that no form shows. A person never sees the error itself.
func (q *Request) Fail(err error) {
	trouble := space.ExplainIn(q.Words, err)
	if _, text, ok := Blame(q.Words, err); ok {
		trouble = space.Trouble{Status: http.StatusBadRequest, What: text}
	}
	if trouble.Status == http.StatusInternalServerError && !errors.Is(err, q.R.Context().Err()) {
		q.Logger.Error("page", "path", path.Clean(q.R.URL.Path), "err", err)
	}
	q.W.WriteHeader(trouble.Status)
	body := Message{Title: trouble.What, Lost: trouble.Lost, Text: trouble.Do, Link: "/", LinkText: q.Say("nothing.link")}
	if err := q.Show("message", Page{Title: q.Say("trouble.title"), Body: body}); err != nil {
		q.Logger.Error("page", "err", err)
	}
}

// Static serves a stylesheet, the script or the icon, for ever.
func (s *Site) Static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, ok := s.assets[name]
	if !ok || a.hash != r.PathValue("hash") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", map[string]string{
		".css": "text/css; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}[path.Ext(name)])
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}
